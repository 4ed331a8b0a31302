import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { freePort } from '../support/free-port.ts';
import { shortFolder } from '../support/short-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A copy of the sample app that shares its wheels, so that starts side by side do not meet. */
function copyApp(folder: string): string {
  const app = join(folder, 'app');
  const cache = join(root, 'flask-app/.pinion/cache');
  for (const made of [cache, join(app, '.pinion')]) mkdirSync(made, { recursive: true });
  for (const part of ['hello', 'pyproject.toml', 'requirements.txt']) cpSync(join(root, 'flask-app', part), join(app, part), { recursive: true });
  symlinkSync(cache, join(app, '.pinion/cache'));
  return app;
}

/** `npm start` as a process. */
async function start(t: Test, args: readonly string[] = [], change: (app: string) => void = () => {}) {
  const folder = shortFolder(t);
  const app = copyApp(folder);
  change(app);
  const ports = { traffic: await freePort(), health: await freePort(), cloud: await freePort() };
  const env = {
    ...process.env,
    PINION_TRAFFIC_PORT: String(ports.traffic),
    PINION_HEALTH_PORT: String(ports.health),
    PINION_CLOUD_PORT: String(ports.cloud),
    PINION_LOCAL_FOLDER: join(folder, 'kept'),
    PINION_LEAKED: 'secret of the caller',
  };
  const child = spawn(process.execPath, ['local/start.ts', '--app-dir', app, ...args], { cwd: root, env });
  const lines: string[] = [];
  let wake = () => {};
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      wake();
    });
  }
  const ended = once(child, 'close').then(([code, signal]) => {
    wake();
    return code ?? signal;
  });
  t.teardown(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  let seen = 0;
  /** The next line that matches. */
  const line = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      for (; seen < lines.length; seen++) {
        const found = lines[seen] ?? '';
        if (pattern.test(found)) {
          seen++;
          return found;
        }
      }
      if (child.exitCode !== null) throw new Error(`it ended before ${pattern}: ${lines.join('\n')}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const environmentFile = join(folder, 'kept/env');
  const served = async () => (await fetch(`http://127.0.0.1:${ports.traffic}/`, { headers: { connection: 'close' } })).headers.get('x-pinion-release');
  /** Nothing answers on any of its ports. */
  const isGone = async () => (await Promise.all(Object.values(ports).map(isRefused))).every(Boolean);
  return { child, ports, lines, line, ended, environmentFile, served, isGone };
}

const isRefused = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(true));
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
  });

/** Names in the environment of the agent that has this health port. */
function agentEnvironment(healthPort: number): string[] {
  const environments = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [command, environment] = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
        return command?.includes('agent/main.ts') ? [environment ?? ''] : [];
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
  const { ended, lines, environmentFile, isGone } = await start(t, ['--once']);
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
  t.same(names, ['AWS_EC2_METADATA_SERVICE_ENDPOINT', 'AWS_ENDPOINT_URL', 'PATH', ...settings, 'RUNTIME_DIRECTORY', 'STATE_DIRECTORY']);

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
  await line(/^Enter: /);
  // A terminal's Ctrl-C may come more than once: by itself, and passed on by npm.
  child.kill('SIGINT');
  child.kill('SIGINT');
  t.equal(await ended, 0);
  t.notOk(existsSync(environmentFile));
  t.ok(await isGone());
});

t.test('an instance that does not get ready says why; --once then ends with 1', async (t) => {
  const { ended, lines, isGone } = await start(t, ['--once'], (app) => {
    const settings = readFileSync(join(app, 'pyproject.toml'), 'utf8');
    writeFileSync(join(app, 'pyproject.toml'), settings.replace('hello:create_app()', 'hello:no_such_app'));
  });
  t.equal(await ended, 1);
  t.match(lines.join('\n'), /^pinion: APP_OBJECT_MISSING: /m);
  t.ok(await isGone());
});

t.test('S13: a taken port is named with its holder before anything is started; killed, it leaves nothing running', async (t) => {
  const { child, line, ports, isGone } = await start(t);
  await line(/^ {2}ready /);
  const env = { ...process.env, PINION_TRAFFIC_PORT: String(ports.traffic), PINION_LOCAL_FOLDER: shortFolder(t) };
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
