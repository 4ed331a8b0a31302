import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { withDeathSignal } from '../../../agent/app/process-group.ts';
import type { Limits } from '../../../agent/limits.ts';
import { startImds } from '../../../local/imds.ts';
import { buildCopy, region, startCloud } from '../../support/cloud.ts';
import { freePort } from '../../support/free-port.ts';
import { get } from '../../support/launched.ts';

const program = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url));
const sampleApp = fileURLToPath(new URL('../../../flask-app', import.meta.url));

/** The local cloud with a release of the sample app, and agents that boot it as an instance would. */
export type Stage = Awaited<ReturnType<typeof setStage>>;

export type Agent = {
  readonly pid: number;
  readonly folder: string;
  readonly trafficPort: number;
  readonly healthPort: number;
  /** Its log, one event a line. */
  readonly logFile: string;
  stop(): Promise<void>;
};

type Launch = { readonly limits?: Partial<Limits>; readonly environment?: Readonly<Record<string, string>> };

export async function setStage() {
  const work = mkdtempSync(join(tmpdir(), 'pinion-bench-'));
  const cleanUp: (() => unknown)[] = [() => rmSync(work, { recursive: true, force: true })];
  const undo = (work: () => unknown) => void cleanUp.unshift(work);
  const built = await buildCopy(work, sampleApp);
  const cloud = await startCloud({ teardown: undo });
  const userData = await cloud.releaseBuilt(built.appDir, { GREETING: 'Hello from pinion', SECRET_KEY: 'of a benchmark' });
  const credentials = () => ({ accessKeyId: 'ASIALOCAL', secretAccessKey: 'local', sessionToken: 'session', expiration: new Date(Date.now() + 6 * 3_600_000) });
  const identity = { instance: 'i-0123456789abcdef0', address: '127.0.0.1', region, roleName: 'pinion-runtime' };
  const imds = await startImds({ ...identity, credentials, userData: Buffer.from(JSON.stringify(userData)) });
  undo(() => imds.stop());

  return {
    work,
    undo,
    endpoint: cloud.endpoint,
    place: { app: userData.app, env: userData.env },
    async close(): Promise<void> {
      for (const each of cleanUp.splice(0)) await each();
    },
    /** The agent with the limits of a host but for those given, once it is ready. */
    async launch({ limits = {}, environment = {} }: Launch = {}): Promise<Agent> {
      const folder = mkdtempSync(join(work, 'agent-'));
      const [trafficPort, healthPort, logFile] = [await freePort(), await freePort(), join(folder, 'log')];
      const journal = spawn('sh', ['-c', 'exec cat > "$0"', logFile], { stdio: ['pipe', 'ignore', 'inherit'] });
      const child = start([process.execPath, program, 'run'], {
        // A socket, as the journal's; read by a process that costs little.
        stdio: ['ignore', journal.stdin, journal.stdin],
        env: {
          PATH: process.env.PATH,
          NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
          AWS_ENDPOINT_URL: cloud.endpoint,
          AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.endpoint,
          STATE_DIRECTORY: join(folder, 'state'),
          RUNTIME_DIRECTORY: join(folder, 'run'),
          PINION_BIND: '127.0.0.1',
          PINION_TRAFFIC_PORT: String(trafficPort),
          PINION_HEALTH_PORT: String(healthPort),
          PINION_PYTHON: built.interpreter,
          // There is no balancer here to wait for.
          PINION_LIMITS: JSON.stringify({ drainSettleMs: 0, ...limits }),
          ...environment,
        },
      });
      journal.stdin.destroy();
      const stop = () => stopProcess(child);
      undo(stop);
      await until200(healthPort, '/readyz', child);
      return { pid: child.pid as number, folder, trafficPort, healthPort, logFile, stop };
    },
  };
}

/** Starts a process that ends, like its children, when the benchmark does. */
export function start(command: readonly [string, ...string[]], options: Parameters<typeof spawn>[2]): ChildProcess {
  const [file, ...args] = withDeathSignal(command);
  return spawn(file, args, options);
}

/** SIGTERM, and after a while once more; resolves when it has ended. */
export async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const impatience = setInterval(() => child.kill('SIGTERM'), 3_000);
  await ended;
  clearInterval(impatience);
}

/** Asks on new connections until the answer is 200; gives the milliseconds that took. Throws when it takes a minute, or when `child` has ended. */
export async function until200(port: number, path: string, child?: ChildProcess): Promise<number> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < 60_000) {
    const status = await get(`http://127.0.0.1:${port}${path}`).then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 200) return performance.now() - startedAt;
    if (typeof child?.exitCode === 'number') throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode}`);
    await wait(2);
  }
  throw new Error(`port ${port} did not answer ${path} with 200 in a minute`);
}

/** The command that installs a package of npm below `folder`. */
export const npmInstall = (folder: string, what: string): readonly [string, ...string[]] => {
  const quietly = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  return ['npm', 'install', '--prefix', folder, ...quietly, what];
};
