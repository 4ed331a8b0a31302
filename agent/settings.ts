import { isIPv4 } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { Failure } from '../contract/causes.ts';
import { type Limits, readLimits } from './limits.ts';

/** Where and as what an agent runs. On a host systemd and the image's constants give all of it; laptops and tests set the rest. */
export type Settings = {
  /** `/var/lib/pinion`: releases and `current`. */
  readonly stateFolder: string;
  /** `/run/pinion`, on tmpfs: the environment file, the status socket; for the agent alone. */
  readonly runtimeFolder: string;
  /** What the app reads of what the agent writes: gunicorn's configuration. On a host `/run/pinion-app`, else the runtime folder. */
  readonly appFolder: string;
  /** The systemd unit that runs gunicorn, on a host; undefined where it is a child of the agent. */
  readonly appUnit: string | undefined;
  /** Address that the traffic and the health port bind. */
  readonly bind: string;
  readonly trafficPort: number;
  readonly healthPort: number;
  /** Loopback port on which the app gets the credentials of its role. */
  readonly credentialsPort: number;
  /** The descriptor of a health port that systemd listens on (sd_listen_fds(3)); undefined where the agent listens itself. */
  readonly healthSocket: number | undefined;
  /** Overrides `/usr/bin/pythonX.Y`. */
  readonly interpreter: string | undefined;
  /** User data from a file instead of IMDS: no hooks, Region and credentials from the environment. */
  readonly userDataFile: string | undefined;
  readonly limits: Limits;
};

/** SD_LISTEN_FDS_START (systemd: src/systemd/sd-daemon.h). */
const firstPassedDescriptor = 3;

/** The environment variables of the agent, with what holds without them and what they are for. */
export const agentVariables = {
  STATE_DIRECTORY: ['/var/lib/pinion', 'releases and `current`; systemd sets it (`StateDirectory=`)'],
  RUNTIME_DIRECTORY: [
    '/run/pinion',
    "on tmpfs: the environment file, gunicorn's configuration, the status socket; systemd sets it (`RuntimeDirectory=`); `pinion-agent status` asks the agent of this folder",
  ],
  PINION_APP_UNIT: [
    '',
    'the systemd unit that runs gunicorn; without it gunicorn is a child of the agent. What the app may read is then in a folder of its name beside the runtime folder',
  ],
  PINION_BIND: ['0.0.0.0', 'IPv4 address that the traffic and the health port bind'],
  PINION_TRAFFIC_PORT: ['8000', "gunicorn's port; on a host the image's constant holds"],
  PINION_HEALTH_PORT: ['8081', 'the health port; 0 lets the system choose'],
  PINION_CREDENTIALS_PORT: ['8082', "loopback port on which the app gets its role's credentials; a constant of the image, since the app outlives an agent"],
  PINION_PYTHON: ['', "the interpreter, instead of `/usr/bin/pythonX.Y` with the release's X.Y"],
  PINION_LIMITS: ['{}', 'a JSON object with limits of the table below that are to differ'],
} as const satisfies Readonly<Record<string, readonly [fallback: string, says: string]>>;

/** The settings that these variables give. Throws SETTING_INVALID. */
export function readSettings(env: NodeJS.ProcessEnv, userDataFile?: string): Settings {
  const given = (name: keyof typeof agentVariables) => env[name] ?? agentVariables[name][0];
  const trafficPort = portSetting(env, 'PINION_TRAFFIC_PORT', Number(agentVariables.PINION_TRAFFIC_PORT[0]), 1);
  const healthPort = portSetting(env, 'PINION_HEALTH_PORT', Number(agentVariables.PINION_HEALTH_PORT[0]), 0);
  if (trafficPort === healthPort) throw new Failure('SETTING_INVALID', { setting: 'PINION_HEALTH_PORT', problem: 'the traffic port is the same' });
  const credentialsPort = portSetting(env, 'PINION_CREDENTIALS_PORT', Number(agentVariables.PINION_CREDENTIALS_PORT[0]), 1);
  if (credentialsPort === trafficPort || credentialsPort === healthPort)
    throw new Failure('SETTING_INVALID', { setting: 'PINION_CREDENTIALS_PORT', problem: 'another port of the agent is the same' });
  const bind = given('PINION_BIND');
  if (!isIPv4(bind)) throw new Failure('SETTING_INVALID', { setting: 'PINION_BIND', problem: 'not an IPv4 address' });
  const [stateFolder, runtimeFolder] = [resolve(given('STATE_DIRECTORY')), resolve(given('RUNTIME_DIRECTORY'))];
  const appUnit = env.PINION_APP_UNIT || undefined;
  if (appUnit !== undefined && !/^[\w-]+\.service$/.test(appUnit))
    throw new Failure('SETTING_INVALID', { setting: 'PINION_APP_UNIT', problem: 'not the name of a service' });
  if (stateFolder === runtimeFolder) throw new Failure('SETTING_INVALID', { setting: 'RUNTIME_DIRECTORY', problem: 'it is the state folder too' });
  return {
    stateFolder,
    runtimeFolder,
    appFolder: appUnit === undefined ? runtimeFolder : join(dirname(runtimeFolder), appUnit.replace('.service', '')),
    appUnit,
    bind,
    trafficPort,
    healthPort,
    credentialsPort,
    healthSocket: env.LISTEN_PID === String(process.pid) && Number(env.LISTEN_FDS) > 0 ? firstPassedDescriptor : undefined,
    interpreter: env.PINION_PYTHON,
    userDataFile,
    limits: readLimits(given('PINION_LIMITS')),
  };
}

/** A port number from `lowest` on. Throws SETTING_INVALID. */
export function portSetting(env: NodeJS.ProcessEnv, setting: string, fallback: number, lowest: number): number {
  const value = Number(env[setting] ?? fallback);
  if (Number.isInteger(value) && value >= lowest && value <= 65_535) return value;
  throw new Failure('SETTING_INVALID', { setting, problem: `not a port number from ${lowest} to 65535` });
}
