import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startFaultingProxy, throttled } from '../support/faulting-proxy.ts';
import { makeApp, temporaryFolder } from '../support/pipeline-app.ts';
import { type CliRun, ended, runCli, spawnCli } from '../support/pipeline-cli.ts';
import { awsEnvironment, startTestCloud } from '../support/pipeline-cloud.ts';

const cloud = await startTestCloud(t);
const lines = (text: string) => text.split('\n').filter((line) => line !== '');

/** The one line that --json gives; throws when anything is beside it. */
function json({ stdout, stderr }: CliRun) {
  if (stderr !== '' || lines(stdout).length !== 1) throw new Error(`not one JSON line: ${stdout}${stderr}`);
  return JSON.parse(stdout);
}

t.test('the whole way, in plain lines and with --json', async (t) => {
  const app = makeApp(t, { settings: 'config = ["GREETING", "SECRET_KEY"]\n' });
  await cloud.addEnvironment('way');
  const env = { ...app.env, ...awsEnvironment(cloud.endpoint), PINION_ENV: 'way', PINION_APP_DIR: app.appDir };
  const run = (argv: string, input: string | Uint8Array = '') => runCli(argv.split(' '), env, input);

  t.match(await run('publish'), { exit: 3, stderr: /NOT_BUILT/ });
  const built = await run('build');
  t.match(built, { exit: 0, stdout: /^built [0-9a-f]{64} \(.* MB, Python 3\.\d+, commit \S+\)\n$/ });
  t.match(lines(built.stderr), [/^Python 3/, /^fetching/, /^1 wheels, 1 of them new$/, /^archiving/]);
  const again = json(await run('build --json'));
  t.match(again, { ok: true, verb: 'build', sha256: /^[0-9a-f]{64}$/, manifest: { app: 'shop' } });

  t.match(await run('release'), { exit: 3, stderr: /NOT_PUBLISHED/ });
  t.match(await run('publish'), { exit: 0, stdout: new RegExp(`^published s3://artifacts-way/shop/${again.sha256}.tar.zst version \\S+\n$`) });
  t.match(json(await run('publish --json')), { ok: true, verb: 'publish', already: true, bucket: 'artifacts-way' });

  t.match(json(await run('release --json')), { ok: false, cause: 'CONFIG_NOT_SET', sentence: /GREETING, SECRET_KEY/, next: /pinion config set/ });
  t.match(await run('config set GREETING', 'hello\n'), {
    exit: 0,
    stdout: 'GREETING is now version 1 (String)\nnote: the value ends with a line end; --trim leaves it out\n',
  });
  t.match(json(await run('config set GREETING --trim --json', 'hello\r\n')), { ok: true, version: 2, unchanged: false });
  writeFileSync(join(app.appDir, 'key'), Buffer.from('hush \n$"'));
  t.match(await run(`config set SECRET_KEY --secret --file ${join(app.appDir, 'key')}`), {
    exit: 0,
    stdout: 'SECRET_KEY is now version 1 (SecureString)\n',
    stderr: '',
  });
  t.match(await run('config get SECRET_KEY'), { exit: 0, stdout: 'hush \n$"' }, 'its bytes and nothing else');
  t.match(json(await run('config get GREETING --version 1 --json')), { ok: true, version: 1, value: 'hello\n' });
  const list = await run('config list');
  t.match(lines(list.stdout), [/^GREETING {4}String {8}version 2 {2}\d{4}-/, /^SECRET_KEY {2}SecureString {2}version 1 {2}\d{4}-/]);
  t.notMatch(list.stdout + (await run('config list --json')).stdout, /hush|hello/);

  const typed = await run('config set SECRET_KEY=hush');
  t.match(typed, { exit: 2, stderr: /a name alone; the value comes from stdin/ });
  t.notMatch(typed.stdout + typed.stderr, /hush/);
  t.match(await run('config set GREETING hush'), { exit: 2, stderr: /a name alone/ });
  for (const line of ['config set SECRET_KEY --value=hush', 'release --config SECRET_KEY=hush']) {
    const { stdout, stderr, exit } = await run(line);
    t.equal(exit, 2);
    t.notMatch(stdout + stderr, /hush/);
  }

  t.match(await run('release --note {{x}}'), {
    exit: 0,
    stdout:
      /^release 1 of shop in way\nartifact [0-9a-f]{64}, commit .+\nconfig GREETING version 2\nconfig SECRET_KEY version 1\nnote \{\{x\}\}\nrecord sha256 [0-9a-f]{64}\n$/,
  });
  t.match(json(await run('release --config GREETING=1 --json')), { ok: true, release: 2, record: { config: { GREETING: 1, SECRET_KEY: 1 } } });
  t.match(await run('config get GREETING --env other'), { exit: 3, stderr: /CONFIG_NOT_SET/ });
  t.match((await run('config list --env other')).stdout, /^GREETING {4}missing in other\nSECRET_KEY {2}missing in other\n$/);
});

t.test('exit 2 for a wrong call, and one cause with --json', async (t) => {
  const folder = temporaryFolder(t);
  const calls = [
    '',
    'frob',
    'config',
    'config set',
    'build --python x',
    'build extra',
    'release --config a',
    'release --config A=0',
    'config get A --version 0',
    'release --from ../x',
    'release --from staging:0',
    'history extra',
    'publish --frob',
    'publish --env ../other',
  ];
  for (const call of [...calls, 'publish', 'config list', 'history', 'release --from staging']) {
    const argv = call.split(' ').filter((word) => word !== '');
    const plain = await runCli(argv, { PINION_APP_DIR: folder });
    t.match(plain, { exit: 2, stdout: '', stderr: /^pinion: (USAGE|ENV_MISSING): .*\.\n$/m }, call || 'nothing');
    const asJson = await runCli([...argv, '--json'], { PINION_APP_DIR: folder });
    t.equal(asJson.exit, 2, `${call} --json`);
    t.match(JSON.parse(asJson.stdout), { ok: false, cause: /USAGE|ENV_MISSING/ }, `${call} --json`);
  }
  t.same(readdirSync(folder), [], 'nothing was made');
});

t.test('a value is read from stdin or a file, never from an argument or a file that is not there', async (t) => {
  const app = makeApp(t, { settings: 'config = ["A"]\n' });
  const env = { ...awsEnvironment(cloud.endpoint), PINION_ENV: 'values', PINION_APP_DIR: app.appDir };
  t.match(await runCli(['config', 'set', 'A', 'hush'], env), { exit: 2, stderr: /^(?!.*hush)pinion: USAGE/ });
  t.match(await runCli(['config', 'set', 'A', '--file', '/nowhere'], env), { exit: 2, stderr: /--file \/nowhere cannot be read: ENOENT/ });
  t.match(await runCli(['config', 'set', 'A'], env, 'hush\0'), { exit: 3, stdout: '', stderr: /^(?!.*hush)pinion: CONFIG_VALUE_REFUSED/ });
  t.match(await runCli(['config', 'set', 'A', '--file', app.appDir], env), { exit: 2, stderr: /cannot be read: EISDIR/ });
  t.match(await runCli(['config', 'set', 'A', '--file', '/dev/zero'], env), { exit: 3, stderr: /it has more than 8192 bytes/ }, 'a file without an end');
  const endless = spawnCli(['config', 'set', 'A'], env);
  const refused = ended(endless);
  endless.stdin.on('error', () => undefined).write('x'.repeat(100_000));
  t.match(await refused, { exit: 3, stderr: /it has more than 8192 bytes/ }, 'a pipe that nobody closes');
  const largest = 'x'.repeat(8192);
  t.match(await runCli(['config', 'set', 'A', '--trim'], env, `${largest}\r\n`), { exit: 0, stdout: /version 1/ });
  t.equal((await runCli(['config', 'get', 'A'], env)).stdout, largest);
  t.match(await runCli(['config', 'set', 'A', '--trim'], env, `${largest}x\r\n`), { exit: 3, stderr: /it has more than 8192 bytes/ });
  t.match(await runCli(['config', 'set', 'NOPE'], env, 'hush'), { exit: 3, stderr: /CONFIG_NAME_UNKNOWN/ });
});

t.test('exit 1 for a cause that may pass', async (t) => {
  const app = makeApp(t, { settings: 'config = ["A"]\n' });
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  proxy.fault({}, { do: 'reset' });
  const env = { ...awsEnvironment(proxy.url), PINION_ENV: 'x', PINION_APP_DIR: app.appDir };
  t.match(await runCli(['config', 'list'], env), { exit: 1, stderr: /^pinion: AWS_UNAVAILABLE: / });
  t.ok(proxy.requests.length > 1, 'after more than one attempt');
  proxy.fault({}, throttled);
  const run = await runCli(['config', 'get', 'A', '--json'], env);
  t.equal(run.exit, 1);
  t.match(json(run), { ok: false, cause: 'AWS_UNAVAILABLE' });
  t.match(await runCli(['config', 'list'], { ...env, AWS_ACCESS_KEY_ID: '', AWS_EC2_METADATA_DISABLED: 'true' }), {
    exit: 1,
    stderr: /CREDENTIALS_UNAVAILABLE/,
  });
  t.match(await runCli(['config', 'list'], { ...env, AWS_REGION: '' }), { exit: 3, stderr: /REGION_MISSING/ });
});

t.test('exit 130 when interrupted, and nothing half', async (t) => {
  const app = makeApp(t, { settings: 'config = ["A"]\n' });
  await cloud.addEnvironment('stop');
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  proxy.fault({ target: 'AmazonSSM.GetParameters' }, { do: 'hold' });
  const arrived = proxy.next({ target: 'AmazonSSM.GetParameters' });
  const env = { ...app.env, ...awsEnvironment(proxy.url), PINION_ENV: 'stop', PINION_APP_DIR: app.appDir };
  const waiting = spawnCli(['config', 'list', '--json'], env);
  const listed = ended(waiting);
  await arrived;
  waiting.kill('SIGINT');
  const run = await listed;
  t.equal(run.exit, 130);
  t.match(json(run), { ok: false, cause: 'INTERRUPTED' });

  const reading = spawnCli(['config', 'set', 'A'], env);
  const set = ended(reading);
  reading.stdin.write('half a val');
  const build = spawnCli(['build'], env);
  const building = ended(build, (stderr) => {
    if (stderr.includes('fetching') && !build.killed) build.kill('SIGTERM');
  });
  t.match(await building, { exit: 130, stdout: '', stderr: /INTERRUPTED/ });
  t.same(readdirSync(join(app.appDir, '.pinion/build')), []);
  t.notOk(existsSync(join(app.appDir, '.pinion/build/artifact.json')));
  reading.kill('SIGINT');
  t.match(await set, { exit: 130, stdout: '' });
});

t.test('help and explain need no app and no network, and every verb has an example', async (t) => {
  t.match(await runCli(['--help']), { exit: 0, stdout: /PINION_APP_DIR[\s\S]*PINION_ENV[\s\S]*--json[\s\S]*130 {2}interrupted/, stderr: '' });
  for (const verb of ['build', 'publish', 'release', 'history', 'explain', 'config set', 'config get', 'config list']) {
    t.match(await runCli([...verb.split(' '), '--help']), { exit: 0, stdout: /Example:\n {2}\S/ }, verb);
  }
  t.match(await runCli(['--version']), { exit: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  t.match(await runCli(['explain', 'UNPINNED']), {
    exit: 0,
    stdout: 'UNPINNED (permanent)\n  the user data in {source} names no release\n  Next: deploy a release: the base version alone is never served\n',
  });
  t.match(await runCli(['explain', 'unpined']), {
    exit: 3,
    stderr: 'pinion: CAUSE_UNKNOWN: unpined is not a cause; UNPINNED is the nearest. List them with pinion explain.\n',
  });
  t.match(JSON.parse((await runCli(['explain', '--json'])).stdout), { ok: true, groups: Array });
});

t.test('a reader that has seen enough is no error', async (t) => {
  const help = spawnCli(['--help']);
  help.stdout.destroy();
  t.match(await ended(help), { exit: 0, stderr: '' });
});

t.test("the app's folder cannot be written", async (t) => {
  const app = makeApp(t);
  writeFileSync(join(app.appDir, '.pinion'), 'a file where a folder goes');
  t.match(await runCli(['--app-dir', app.appDir, 'build'], app.env), {
    exit: 3,
    stdout: '',
    stderr: /^pinion: STATE_UNWRITABLE: .*\.pinion.* cannot be written: ENOTDIR/m,
  });
});
