// `npm run test:localstack`: the main job on LocalStack's open core, in host mode. Skipped by name where there is no Python 3.13.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import t from 'tap';
import { withDeathSignal } from '../../agent/app/process-group.ts';
import { openCloud } from '../../local/cloud.ts';
import { findInterpreter } from '../../pipeline/artifact/interpreter.ts';
import { root, start } from '../local/start-process.ts';
import { freePort } from '../support/free-port.ts';
import { shortFolder } from '../support/short-folder.ts';
import { installOnce } from './install-once.ts';

const { signal } = new AbortController();
const requirements = fileURLToPath(new URL('localstack.txt', import.meta.url));
const python = await findPython();

if (python === undefined)
  t.plan(0, 'skipped: Python 3.13 is missing, the only one that LocalStack 2026.3 runs on: apt-get install python3.13-venv, or pyenv install 3.13');
else {
  const localstack = await startLocalStack(install(python));

  t.test('npm start -- --once on LocalStack: build, publish, config, release, an instance that answers', async (t) => {
    const { ended, lines } = await start(t, { args: ['--once'], env: { AWS_ENDPOINT_URL: localstack } });
    t.equal(await ended, 0, lines.join('\n'));
    t.match(lines.join('\n'), /^GET http:.* answered 200, X-Pinion-Release: 1$/m);
  });

  t.test('and again, with what is there: the next release, a change by the CLI, a new instance', async (t) => {
    const { child, line, served, ended, environmentFile } = await start(t, { env: { AWS_ENDPOINT_URL: localstack } });
    const publishedMs = Number((await line(/^ {2}publish /)).match(/(\d+) ms$/)?.[1]);
    t.ok(publishedMs < 10_000, `an artifact that is there already took ${publishedMs} ms: no answer was waited for in vain`);
    await line(/^Enter: /);
    t.equal(await served(), '2');
    const pinion = `'${process.execPath}' pipeline/main.ts`;
    const script = `. '${environmentFile}' && printf %s Moin | ${pinion} config set GREETING && ${pinion} release`;
    t.same(await once(spawn('sh', ['-ec', script], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }), 'close'), [0, null]);
    child.stdin.write('\n');
    await line(/^Enter: /);
    t.equal(await served(), '3');
    child.kill('SIGINT');
    t.equal(await ended, 0);
    const { clients } = await openCloud({ endpoint: localstack, port: 0 }, signal);
    const { Parameter } = await clients.ssm.send(new GetParameterCommand({ Name: '/pinion/flask-app/local/config/SECRET_KEY' }));
    t.equal(Parameter?.Version, 1, 'the secret of the first start is still the one in use');
  });
}

/** One that can make a virtual environment: on PATH, or of pyenv, whose command on PATH runs only where it is chosen. */
async function findPython(): Promise<string | undefined> {
  const { stdout } = spawnSync('pyenv', ['prefix', '3.13'], { encoding: 'utf8' });
  const ofPyenv = stdout ? [join(stdout.trim(), 'bin')] : [];
  const env = { ...process.env, PATH: [process.env.PATH, ...ofPyenv].join(delimiter) };
  const found = await findInterpreter('3.13', env, signal).catch(() => undefined);
  return found !== undefined && spawnSync(found.path, ['-c', 'import venv, ensurepip']).status === 0 ? found.path : undefined;
}

/** The Python of a virtual environment with LocalStack in it: 500 MB, kept by the digest of what it is made from. */
function install(interpreter: string): string {
  const of = createHash('sha256').update(readFileSync(requirements)).update(interpreter).digest('hex').slice(0, 16);
  return installOnce(`localstack-${of}`, 'bin/python', (folder) => [
    [interpreter, '-m', 'venv', '--clear', folder],
    [join(folder, 'bin/python'), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--require-hashes', '-r', requirements],
  ]);
}

/** LocalStack's endpoint on 127.0.0.1 once it is ready; it ends with the test. */
async function startLocalStack(venvPython: string): Promise<string> {
  const listen = `127.0.0.1:${await freePort()}`;
  const [command, ...args] = withDeathSignal([venvPython, '-m', 'localstack.runtime.main']);
  const folder = shortFolder(t);
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    TMPDIR: folder,
    LANG: 'C.UTF-8',
    GATEWAY_LISTEN: listen,
    // The default server listens on every address whatever it is told.
    GATEWAY_SERVER: 'hypercorn',
    // Where a /.dockerenv is, it takes itself for a container and writes to /var/lib.
    OVERRIDE_IN_DOCKER: '0',
    FILESYSTEM_ROOT: folder,
    // Nothing outside this machine is asked: no certificate, no name, no count of users.
    SKIP_SSL_CERT_DOWNLOAD: '1',
    DNS_ADDRESS: '0',
    DISABLE_EVENTS: '1',
  };
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGTERM');
    // It may wait for its connections for ever.
    const impatience = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(impatience);
  });
  const said: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
  for await (const line of createInterface({ input: child.stdout })) if (line === 'Ready.') return `http://${listen}`;
  throw new Error(`LocalStack ended before it was ready:\n${said.join('\n')}`);
}
