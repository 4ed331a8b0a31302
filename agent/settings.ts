import { isIPv4 } from 'node:net';
import { resolve } from 'node:path';
import { Failure } from '../contract/causes.ts';
import { type Limits, readLimits } from './limits.ts';

/** Where and as what an agent runs. On a host systemd and the image's constants give all of it; laptops and tests set the rest. */
export type Settings = {
  /** `/var/lib/pinion`: releases and `current`. */
  readonly stateFolder: string;
  /** `/run/pinion`, on tmpfs: the environment file, gunicorn's configuration, the status socket. */
  readonly runtimeFolder: string;
  /** Address that the traffic and the health port bind. */
  readonly bind: string;
  readonly trafficPort: number;
  readonly healthPort: number;
  /** Overrides `/usr/bin/pythonX.Y`. */
  readonly interpreter: string | undefined;
  /** User data from a file instead of IMDS: no hooks, Region and credentials from the environment. */
  readonly userDataFile: string | undefined;
  readonly limits: Limits;
};

/** The environment variables of the agent, with what holds without them and what they are for. */
export const agentVariables = {
  STATE_DIRECTORY: ['/var/lib/pinion', 'releases and `current`; systemd sets it (`StateDirectory=`)'],
  RUNTIME_DIRECTORY: [
    '/run/pinion',
    "on tmpfs: the environment file, gunicorn's configuration, the status socket; systemd sets it (`RuntimeDirectory=`); `pinion-agent status` asks the agent of this folder",
  ],
  PINION_BIND: ['0.0.0.0', 'IPv4 address that the traffic and the health port bind'],
  PINION_TRAFFIC_PORT: ['8000', "gunicorn's port; on a host the image's constant holds"],
  PINION_HEALTH_PORT: ['8081', 'the health port; 0 lets the system choose'],
  PINION_PYTHON: ['', "the interpreter, instead of `/usr/bin/pythonX.Y` with the release's X.Y"],
  PINION_LIMITS: ['{}', 'a JSON object with limits of the table below that are to differ'],
} as const satisfies Readonly<Record<string, readonly [fallback: string, says: string]>>;

/** The settings that these variables give. Throws SETTING_INVALID. */
export function readSettings(env: NodeJS.ProcessEnv, userDataFile?: string): Settings {
  const given = (name: keyof typeof agentVariables) => env[name] ?? agentVariables[name][0];
  const trafficPort = portSetting(env, 'PINION_TRAFFIC_PORT', Number(agentVariables.PINION_TRAFFIC_PORT[0]), 1);
  const healthPort = portSetting(env, 'PINION_HEALTH_PORT', Number(agentVariables.PINION_HEALTH_PORT[0]), 0);
  if (trafficPort === healthPort) throw new Failure('SETTING_INVALID', { setting: 'PINION_HEALTH_PORT', problem: 'the traffic port is the same' });
  const bind = given('PINION_BIND');
  if (!isIPv4(bind)) throw new Failure('SETTING_INVALID', { setting: 'PINION_BIND', problem: 'not an IPv4 address' });
  const [stateFolder, runtimeFolder] = [resolve(given('STATE_DIRECTORY')), resolve(given('RUNTIME_DIRECTORY'))];
  if (stateFolder === runtimeFolder) throw new Failure('SETTING_INVALID', { setting: 'RUNTIME_DIRECTORY', problem: 'it is the state folder too' });
  return {
    stateFolder,
    runtimeFolder,
    bind,
    trafficPort,
    healthPort,
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
