import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { portSetting } from '../agent/settings.ts';
import { Failure } from '../contract/causes.ts';

export const usage = `npm start [-- OPTIONS]: the local cloud, a release of the app, and an instance that boots it.

  --app-dir DIR   the app (default flask-app)
  --once          until it is ready and has answered one request; then stop

Environment: PINION_TRAFFIC_PORT (8000), PINION_HEALTH_PORT (8081), PINION_CLOUD_PORT (0: any that is free),
PINION_LOCAL_FOLDER (.pinion): what it keeps; AWS_ENDPOINT_URL: a cloud that runs already, in place of the embedded one.
Exit status: 0 stopped; 1 it failed (one line on stderr says why); 2 usage.
`;

export type LocalSettings = {
  readonly appDir: string;
  readonly mode: 'stay' | 'once';
  readonly folder: string;
  readonly address: string;
  readonly trafficPort: number;
  readonly healthPort: number;
  readonly cloudPort: number;
  /** A cloud that runs already; the embedded one is then not started. */
  readonly cloudEndpoint: string | undefined;
};

const root = fileURLToPath(new URL('..', import.meta.url));

/** What `npm start` is told by arguments and environment; `help` when it is asked for it. Throws USAGE, SETTING_INVALID. */
export function readLocalSettings(argv: readonly string[], env: NodeJS.ProcessEnv): LocalSettings | 'help' {
  const { values } = parse(argv);
  if (values.help) return 'help';
  return {
    // npm runs scripts in the project's folder and says where the caller was.
    appDir: values['app-dir'] === undefined ? join(root, 'flask-app') : resolve(env.INIT_CWD ?? '.', values['app-dir']),
    mode: values.once ? 'once' : 'stay',
    folder: env.PINION_LOCAL_FOLDER === undefined ? join(root, '.pinion') : resolve(env.INIT_CWD ?? '.', env.PINION_LOCAL_FOLDER),
    address: '127.0.0.1',
    trafficPort: portSetting(env, 'PINION_TRAFFIC_PORT', 8000, 1),
    healthPort: portSetting(env, 'PINION_HEALTH_PORT', 8081, 1),
    cloudPort: portSetting(env, 'PINION_CLOUD_PORT', 0, 0),
    cloudEndpoint: endpointSetting(env, 'AWS_ENDPOINT_URL'),
  };
}

/** An empty one counts as unset, as the SDK has it. Keys in it would be printed and kept. */
function endpointSetting(env: NodeJS.ProcessEnv, setting: string): string | undefined {
  const value = env[setting];
  if (!value) return undefined;
  const url = URL.parse(value);
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return value;
  throw new Failure('SETTING_INVALID', { setting, problem: 'not an http or https URL without a user' });
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: { 'app-dir': { type: 'string' }, once: { type: 'boolean' }, help: { type: 'boolean' } } });
  } catch (cause) {
    throw new Failure('USAGE', { detail: (cause as Error).message.replace(/\.$/, '') }, { cause });
  }
}
