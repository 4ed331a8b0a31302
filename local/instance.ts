import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { endRecordedGroup, withDeathSignal } from '../agent/app/process-group.ts';
import type { AgentEvent } from '../contract/events.ts';
import type { InstanceId } from '../contract/names.ts';
import type { UserData } from '../contract/user-data.ts';
import { region } from './cloud.ts';
import { type LocalImds, startImds } from './imds.ts';

const program = fileURLToPath(new URL('../agent/main.ts', import.meta.url));

/** The runtime folder of the instance under a folder: `pinion-agent status` asks there. */
export const runtimeFolderIn = (folder: string): string => join(folder, 'instance', 'run');

type Launch = {
  /** Default: a new one. */
  readonly id?: InstanceId;
  /** As it is in the template, or as a document of ours. */
  readonly userData: UserData | Buffer;
  readonly cloudEndpoint: string;
  /** Default: the cloud's. */
  readonly autoScalingEndpoint?: string;
  /** Where its disk goes: what is on it stays for the next instance, so that an artifact is fetched once. */
  readonly folder: string;
  readonly address: string;
  readonly trafficPort: number;
  readonly healthPort: number;
  readonly interpreter: string;
  /** Limits of the agent that are to differ; default: no settling, as without a balancer. */
  readonly limits?: Readonly<Record<string, number>>;
  readonly onEvent: (event: AgentEvent) => void;
  /** Lines of its stderr: what an instance's console shows. */
  readonly onConsole: (line: string) => void;
};

export type LocalInstance = {
  readonly id: InstanceId;
  readonly imds: LocalImds;
  /** The agent's exit status, or the signal that ended it; whatever the reason. */
  readonly ended: Promise<number | string>;
  /** Drains it; after `patienceMs` the app is ended, then killed. Resolves when nothing of it runs. */
  stop(): Promise<void>;
  /** One SIGTERM, as a power-off gives. */
  terminate(): void;
  /** Cuts its power: nothing of it gets to say a word. */
  kill(): Promise<void>;
};

export const newInstanceId = (): InstanceId => `i-${randomBytes(9).toString('hex').slice(0, 17)}` as InstanceId;

/** There is no balancer to settle, and a browser's idle connection holds a gthread worker for the whole graceful timeout. */
const patienceMs = 3_000;

/** One instance on this machine: its own metadata service, and the agent as a process with nothing of the caller's environment but PATH, HOME and LANG. */
export async function launchInstance(launch: Launch): Promise<LocalInstance> {
  const id = launch.id ?? newInstanceId();
  const credentials = () => ({
    accessKeyId: 'ASIALOCAL',
    secretAccessKey: 'local',
    sessionToken: randomBytes(8).toString('hex'),
    expiration: new Date(Date.now() + 6 * 3_600_000),
  });
  const userData = Buffer.isBuffer(launch.userData) ? launch.userData : Buffer.from(JSON.stringify(launch.userData));
  const imds = await startImds({ instance: id, address: launch.address, region, roleName: 'pinion-runtime', credentials, userData });
  const runtimeFolder = runtimeFolderIn(launch.folder);
  await mkdir(dirname(runtimeFolder), { recursive: true });

  const [command, ...args] = withDeathSignal([process.execPath, program, 'run']);
  // A group of its own: Ctrl-C in a terminal reaches the one who drains it, not it.
  const child = spawn(command, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: environment(launch, imds.endpoint, runtimeFolder) });
  createInterface({ input: child.stdout }).on('line', (line) => (line.startsWith('{') ? launch.onEvent(JSON.parse(line)) : launch.onConsole(line)));
  createInterface({ input: child.stderr }).on('line', launch.onConsole);
  const exited = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  const ended = exited.finally(async () => {
    await imds.stop();
    await rm(runtimeFolder, { recursive: true, force: true });
  });
  return {
    id,
    imds,
    ended,
    terminate: () => void child.kill('SIGTERM'),
    async kill() {
      child.kill('SIGKILL');
      // gunicorn would get a SIGTERM, and end as it should.
      await Promise.all([endRecordedGroup(join(runtimeFolder, 'app.json')), ended]);
    },
    async stop() {
      child.kill('SIGTERM');
      const impatience = setInterval(() => child.kill('SIGTERM'), patienceMs);
      await ended.finally(() => clearInterval(impatience));
    },
  };
}

const environment = (launch: Launch, imdsEndpoint: string, runtimeFolder: string): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(['PATH', 'HOME', 'LANG', 'NODE_COMPILE_CACHE'].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
  AWS_ENDPOINT_URL: launch.cloudEndpoint,
  ...(launch.autoScalingEndpoint !== undefined && { AWS_ENDPOINT_URL_AUTO_SCALING: launch.autoScalingEndpoint }),
  AWS_EC2_METADATA_SERVICE_ENDPOINT: imdsEndpoint,
  STATE_DIRECTORY: join(launch.folder, 'instance', 'state'),
  RUNTIME_DIRECTORY: runtimeFolder,
  PINION_BIND: launch.address,
  PINION_TRAFFIC_PORT: String(launch.trafficPort),
  PINION_HEALTH_PORT: String(launch.healthPort),
  PINION_PYTHON: launch.interpreter,
  PINION_LIMITS: JSON.stringify(launch.limits ?? { drainSettleMs: 0 }),
});
