import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { startMoto } from '../../../local/moto.ts';
import { makeApp } from '../../support/pipeline-app.ts';
import { cliProgram, ended, spawnCli } from '../../support/pipeline-cli.ts';
import { openRolloutLab, pace } from '../../support/rollout.ts';

const moto = await startMoto();
t.teardown(moto.stop);

const dead = 'pinion: ARTIFACT_DIGEST_MISMATCH: the artifact is another. Publish it again.';
const settings = 'config = ["GREETING"]\nrelease-header = "X-Release"\n[tool.pinion.smoke]\npaths = ["/"]\nbudget-seconds = 1\n';

/** A lab, and the CLI as a process that asks it. */
async function open(t: Test, options: Parameters<typeof openRolloutLab>[1] = {}) {
  const lab = await openRolloutLab(t, { moto, ...options });
  const { appDir } = makeApp(t, { settings });
  const argvOf = (verb: readonly string[]) => ['--app-dir', appDir, '--env', lab.place.env, ...verb];
  const envOf = (more: object = {}) => ({ ...lab.environment, PINION_PACE: JSON.stringify({ ...pace, ...more }) });
  const start = (verb: readonly string[], more?: object) => spawnCli(argvOf(verb), envOf(more));
  return { lab, argvOf, envOf, start, pinion: (verb: readonly string[], more?: object) => ended(start(verb, more)) };
}

t.test('T04: 0 live and nothing to do, 3 refused, 5 rolled back, 8 smoke, 6 a rollback that failed', async (t) => {
  const { lab, pinion } = await open(t, { alarms: ['5xx'] });
  await lab.release();
  t.match(await pinion(['deploy']), { exit: 0, stdout: /^release 1 is live on template version 2, after \d+ s\n$/ });
  t.match(await pinion(['deploy']), { exit: 0, stdout: "nothing to do: release 1 is live on today's base\n" });

  await lab.release();
  await lab.setAlarm('5xx', 'ALARM');
  const refused = await pinion(['deploy']);
  t.match(refused, { exit: 3, stdout: '', stderr: /^pinion: ALARM_NOT_OK: the alarm 5xx is in ALARM; .*--despite-alarm NAME\.\n$/ });
  await lab.setAlarm('5xx', 'OK');
  t.match(await pinion(['deploy', '--release', '9']), { exit: 3, stderr: /RELEASE_MISSING/ });

  await lab.release({ says: dead });
  const undone = await pinion(['deploy']);
  t.match(undone, { exit: 5, stderr: /\(permanent\) ARTIFACT_DIGEST_MISMATCH: the artifact is another.*\n(.*\n)*pinion: ROLLED_BACK: release 3/ });
  t.notOk(undone.stderr.includes('\r'), 'plain lines where nobody watches a terminal');

  lab.answer(500);
  t.match(await pinion(['deploy', '--release', '2'], { bakeMs: 3_000_000 }), {
    exit: 8,
    stderr: /SMOKE_FAILED: release 2 .*GET \/ answered 500, not 200; it was rolled back/,
  });
  lab.answer(200);
  t.match(await pinion(['deploy', '--release', '2']), { exit: 0 });
  lab.answer(500);
  const history = (await pinion(['history'])).stdout;
  t.match(history, /^ {3}3 .*\n {6}last deploy RollbackSuccessful 20.*Z$/m);
  t.match(history, /^ {3}2 .* live\n {6}last deploy Successful 20/m);
  t.match(history, /^ {3}1 .* previous$/m);
  t.match(await pinion(['rollback'], { bakeMs: 0 }), { exit: 6, stderr: /ROLLBACK_FAILED: the rollback of release 1 failed/ });
});

t.test('what a host wrote on its console moves no cursor', async (t) => {
  const { lab, pinion } = await open(t);
  await lab.release({ says: 'pinion: ARTIFACT_DIGEST_MISMATCH: x\u001b]0;owned\u0007\u001b[2J\u001b[1;1Hrelease 9 is live.' });
  const { exit, stdout, stderr } = await pinion(['deploy']);
  t.equal(exit, 7);
  t.notOk([...`${stdout}${stderr}`].some((character) => '\u001b\u0007\r'.includes(character)));
  t.match(stderr, '\\u{1b}[2J');
});

t.test('7 a first deploy that failed, with its cause in every form', async (t) => {
  const { lab, pinion } = await open(t);
  await lab.release({ says: dead });
  const { exit, stdout, stderr } = await pinion(['--json', 'deploy']);
  t.equal(exit, 7);
  t.equal(stderr, '');
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.ok(
    lines.slice(0, -1).every(({ event }) => typeof event === 'string'),
    'each thing that happens is a line',
  );
  t.match(lines.at(-1), { ok: false, cause: 'DEPLOY_FAILED', sentence: /ARTIFACT_DIGEST_MISMATCH/, next: /./ });
});

t.test('F51, T01, T06: 130 detached by Ctrl-C or SIGTERM, 4 busy meanwhile, 9 timed out; the deploy goes on, and wait ends it with 0', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const { lab, start, pinion } = await open(t, { secondMs: 2_500 });
    await lab.release();
    t.match(await pinion(['deploy']), { exit: 0 });
    await lab.release();
    const deploying = start(['deploy']);
    let isWatching = true;
    const end = ended(deploying, (text) => {
      // A second one would end it at once.
      if (isWatching && text.includes('InProgress')) isWatching = !deploying.kill(signal);
    });
    t.match(await end, { exit: 130, stderr: /pinion: DETACHED: .*release 2 goes on\. Watch it to its end with pinion wait, from anywhere: .*\n$/ });
    t.match(await pinion(['deploy']), { exit: 4, stderr: /DEPLOY_BUSY: .*to release 2/ });
    t.match(await pinion(['wait'], { patienceMs: 0 }), { exit: 9, stderr: /DEPLOY_TIMEOUT: the deploy of release 2/ });
    t.match(await pinion(['wait']), { exit: 0, stdout: /^release 2 is live/ });
    t.notOk(lab.gateway.calls.some(({ action }) => /^(Cancel|Rollback)InstanceRefresh$/.test(action)));
  }
});

t.test('status, smoke, doctor and the dry run, as a person reads them', async (t) => {
  const { lab, pinion } = await open(t);
  await lab.release();
  t.match(await pinion(['status']), { exit: 0, stdout: /^shop in test-\d+: no release; 0 of 2 serve\nlive none, previous none\nsuspended: Launch\n$/ });
  t.match((await pinion(['deploy', '--dry-run'])).stdout, /^plan: first, release nothing → 1, a new template version\nartifact nothing → a{12}\n/);
  await pinion(['deploy']);
  const { stdout } = await pinion(['status']);
  t.match(stdout, /^shop in test-\d+: release 1 \(template version 2\); 2 of 2 serve\nlive 1, previous none\n/);
  t.match(stdout, /^i-\w+ {2}release 1 {2}version 2 {2}InService {2}healthy {2}\d+ s$/m);
  t.match(await pinion(['smoke']), { exit: 0, stdout: 'release 1 passed smoke: 1 path\n' });
  lab.answer(503);
  t.match(await pinion(['smoke']), { exit: 8, stderr: /SMOKE_FAILED: release 1 .*answered 503/ });
  const examined = await pinion(['doctor']);
  t.equal(examined.exit, 3);
  t.match(examined.stdout, /^ok {4}the group can take a deploy, and its rollback$/m);
  t.match(examined.stdout, /^WRONG the balancer reaches both ports of an instance: the base version names no security group$/m);
  t.match(examined.stderr, /DOCTOR_FOUND: 1 of \d+ checks do not hold/);
});

t.test('pinion --help needs no app and no network, and takes no time', async (t) => {
  const { exit, stdout } = await ended(spawnCli(['--help']));
  t.equal(exit, 0);
  for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130]) t.match(stdout, new RegExp(`^ {2}${code} `, 'm'));
});

t.test('T09: with --json every verb writes JSON lines and nothing else', async (t) => {
  const { lab, pinion } = await open(t);
  await lab.release();
  const verbs = [
    'deploy --dry-run',
    'deploy',
    'deploy',
    'status',
    'history',
    'doctor',
    'smoke',
    'wait',
    'rollback',
    'explain',
    'config list',
    'config get GREETING',
  ];
  for (const verb of [...verbs, 'deploy --release 9', 'deploy --no-such-option']) {
    const { stdout, stderr } = await pinion(['--json', ...verb.split(' ')]);
    t.equal(stderr, '', verb);
    const lines = stdout.trimEnd().split('\n');
    t.equal(typeof JSON.parse(lines.at(-1) ?? '').ok, 'boolean', verb);
    for (const line of lines.slice(0, -1)) t.ok(['string', 'boolean'].includes(typeof (JSON.parse(line).event ?? JSON.parse(line).ok)), `${verb}: ${line}`);
  }
});

/** Runs what follows on a terminal of its own, and prints what that shows, byte for byte. */
const onTerminal = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

t.test('T08: a terminal has one live last line that is written over; whatever else reads has plain lines', async (t) => {
  const { lab, argvOf, envOf, pinion } = await open(t, { secondMs: 200 });
  await lab.release();
  const child = spawn('python3', ['-c', onTerminal, process.execPath, cliProgram, ...argvOf(['deploy'])], {
    env: { PATH: process.env.PATH, TERM: 'xterm', ...envOf() },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [shown, exit] = await Promise.all([text(child.stdout), once(child, 'close').then(([code]) => code)]);
  t.equal(exit, 0);
  const beginning = '\r\u001b[K';
  t.ok(shown.split(beginning).length > 3, 'the live line is written over');
  t.notOk(shown.replaceAll(beginning, '').includes('\u001b'), 'and nothing else moves');
  // What stays once every line has been written over.
  const stays = shown.split('\r\n').map((line) => line.split(beginning).at(-1) ?? '');
  t.notOk(
    stays.some((line) => /serve the new version/.test(line)),
    'no progress line stays',
  );
  t.match(stays.at(-2), /^release 1 is live on template version 2, after \d+ s$/);
  await lab.release();
  const piped = await pinion(['deploy']);
  t.notOk(piped.stderr.includes('\r') || piped.stderr.includes('\u001b'));
  t.match(piped.stderr, /serve the new version/);
});
