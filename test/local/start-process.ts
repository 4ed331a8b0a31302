import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { freePort } from '../support/free-port.ts';
import { shortFolder } from '../support/short-folder.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A copy of the sample app that shares its wheels, so that starts side by side do not meet. */
function copyApp(folder: string): string {
  const app = join(folder, 'app');
  const cache = join(root, 'flask-app/.pinion/cache');
  for (const made of [cache, join(app, '.pinion')]) mkdirSync(made, { recursive: true });
  for (const part of ['hello', 'pyproject.toml', 'requirements.txt']) cpSync(join(root, 'flask-app', part), join(app, part), { recursive: true });
  symlinkSync(cache, join(app, '.pinion/cache'));
  return app;
}

type Options = { readonly args?: readonly string[]; readonly change?: (app: string) => void; readonly env?: NodeJS.ProcessEnv };

/** `npm start` as a process, with a copy of the sample app, which `change` may alter, and ports of its own. */
export async function start(t: Test, { args = [], change = () => {}, env: extra = {} }: Options = {}) {
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
    AWS_ENDPOINT_URL: '',
    ...extra,
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
