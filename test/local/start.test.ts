import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { shortFolder } from '../support/short-folder.ts';
import { root, start } from './start-process.ts';

/** Names in the environment of the agent that has this health port. */
function agentEnvironment(healthPort: number): string[] {
  const environments = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [command, environment] = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
        return command?.startsWith('pinion-agent') ? [environment ?? ''] : [];
      } catch {
        return [];
      }
    });
  const own = environments.find((environment) => environment.includes(`PINION_HEALTH_PORT=${healthPort}\0`)) ?? '';
  return own
    .split('\0')
    .filter(Boolean)
    .map((pair) => pair.replace(/=.*/s, ''))
    .sort();
}

t.test('--once: a released app answers one request, and nothing is left', async (t) => {
  const { ended, lines, environmentFile, isGone } = await start(t, { args: ['--once'] });
  t.equal(await ended, 0, lines.join('\n'));
  const said = lines.join('\n');
  for (const phase of ['cloud', 'build', 'publish', 'config', 'release', 'identity', 'download', 'unpack', 'prepare', 'ready']) {
    t.match(said, new RegExp(`^  ${phase} .* \\d+ ms$`, 'm'));
  }
  t.match(said, /ready in [\d.]+ s\nGET http:.* answered 200, X-Pinion-Release: 1\n/);
  t.notOk(existsSync(environmentFile));
  t.ok(await isGone());
});

t.test('Enter and SIGHUP boot the newest release on a new instance; Ctrl-C stops everything', async (t) => {
  const { child, line, served, environmentFile, ended, isGone, ports } = await start(t);
  const first = await line(/^instance i-/);
  await line(/^Enter: /);
  t.equal(await served(), '1');
  t.equal(statSync(environmentFile).mode & 0o777, 0o600);
  const health = await fetch(`http://127.0.0.1:${ports.health}/readyz`, { headers: { connection: 'close' } });
  t.match(await health.json(), { state: 'ready', release: 1 });
  const names = agentEnvironment(ports.health).filter((name) => !['HOME', 'LANG', 'NODE_COMPILE_CACHE', 'NODE_V8_COVERAGE'].includes(name));
  const settings = ['PINION_BIND', 'PINION_HEALTH_PORT', 'PINION_LIMITS', 'PINION_PYTHON', 'PINION_TRAFFIC_PORT'];
  t.same(names, [
    'AWS_EC2_METADATA_SERVICE_ENDPOINT',
    'AWS_ENDPOINT_URL',
    'AWS_ENDPOINT_URL_AUTO_SCALING',
    'PATH',
    ...settings,
    'RUNTIME_DIRECTORY',
    'STATE_DIRECTORY',
  ]);

  const pinion = `'${process.execPath}' pipeline/main.ts`;
  const script = `. '${environmentFile}' && printf %s Moin | ${pinion} config set GREETING && ${pinion} release`;
  const [code] = await once(spawn('sh', ['-ec', script], { cwd: root, stdio: 'inherit', env: { ...process.env, AWS_PROFILE: 'not-there' } }), 'close');
  t.equal(code, 0, 'the CLI works in a second terminal, also for someone who has a profile set');

  child.stdin.write('\n');
  const second = await line(/^instance i-/);
  t.match(second, /boots release 2$/);
  t.not(second.split(' ')[1], first.split(' ')[1]);
  await line(/^Enter: /);
  t.equal(await served(), '2');

  child.kill('SIGHUP');
  t.match(await line(/^instance i-/), /boots release 2$/);
  child.kill('SIGHUP');
  t.match(await line(/^instance i-/), /boots release 2$/, 'also before it is ready');
  await line(/^Enter: /);
  // A terminal's Ctrl-C may come more than once: by itself, and passed on by npm.
  child.kill('SIGINT');
  child.kill('SIGINT');
  t.equal(await ended, 0);
  t.notOk(existsSync(environmentFile));
  t.ok(await isGone());
});

t.test('an instance that does not get ready says why; --once then ends with 1', async (t) => {
  const { ended, lines, isGone } = await start(t, {
    args: ['--once'],
    change: (app) => {
      const settings = readFileSync(join(app, 'pyproject.toml'), 'utf8');
      writeFileSync(join(app, 'pyproject.toml'), settings.replace('hello:create_app()', 'hello:no_such_app'));
    },
  });
  t.equal(await ended, 1);
  t.match(lines.join('\n'), /^pinion: APP_OBJECT_MISSING: /m);
  t.ok(await isGone());
});

t.test('S13: a taken port is named with its holder before anything is started; killed, it leaves nothing running', async (t) => {
  const { child, line, ports, isGone } = await start(t);
  await line(/^ {2}ready /);
  const env = { ...process.env, AWS_ENDPOINT_URL: '', PINION_TRAFFIC_PORT: String(ports.traffic), PINION_LOCAL_FOLDER: shortFolder(t) };
  const second = spawn(process.execPath, ['local/start.ts', '--once'], { cwd: root, env });
  let said = '';
  for (const stream of [second.stdout, second.stderr]) {
    stream.on('data', (bytes) => {
      said += bytes;
    });
  }
  t.same(await once(second, 'close'), [1, null]);
  t.match(said, new RegExp(`^pinion: PORT_IN_USE: 127\\.0\\.0\\.1:${ports.traffic} is held by .+ \\(pid \\d+\\)`));
  child.kill('SIGKILL');
  const until = performance.now() + 10_000;
  while (!(await isGone()) && performance.now() < until) await wait(20);
  t.ok(await isGone());
});
