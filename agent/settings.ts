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

/**
 * The environment variables of the agent: STATE_DIRECTORY and RUNTIME_DIRECTORY as systemd sets them, PINION_BIND, PINION_TRAFFIC_PORT,
 * PINION_HEALTH_PORT (0 lets the system choose), PINION_PYTHON, PINION_LIMITS (JSON). Throws SETTING_INVALID.
 */
export function readSettings(env: NodeJS.ProcessEnv, userDataFile?: string): Settings {
  const trafficPort = portSetting(env, 'PINION_TRAFFIC_PORT', 8000, 1);
  const healthPort = portSetting(env, 'PINION_HEALTH_PORT', 8081, 0);
  if (trafficPort === healthPort) throw new Failure('SETTING_INVALID', { setting: 'PINION_HEALTH_PORT', problem: 'the traffic port is the same' });
  return {
    stateFolder: env.STATE_DIRECTORY ?? '/var/lib/pinion',
    runtimeFolder: env.RUNTIME_DIRECTORY ?? '/run/pinion',
    bind: env.PINION_BIND ?? '0.0.0.0',
    trafficPort,
    healthPort,
    interpreter: env.PINION_PYTHON,
    userDataFile,
    limits: readLimits(env.PINION_LIMITS),
  };
}

/** A port number from `lowest` on. Throws SETTING_INVALID. */
export function portSetting(env: NodeJS.ProcessEnv, setting: string, fallback: number, lowest: number): number {
  const value = Number(env[setting] ?? fallback);
  if (Number.isInteger(value) && value >= lowest && value <= 65_535) return value;
  throw new Failure('SETTING_INVALID', { setting, problem: `not a port number from ${lowest} to 65535` });
}
