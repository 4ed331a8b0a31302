import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { portHolder } from '../agent/app/port-holder.ts';
import { Failure } from '../contract/causes.ts';

export const usage = `npm start [-- OPTIONS]: the local cloud, a release of the app, and an instance that boots it.

  --app-dir DIR   the app (default flask-app)
  --once          until it is ready and has answered one request; then stop

Environment: PINION_TRAFFIC_PORT (8000), PINION_HEALTH_PORT (8081), PINION_CLOUD_PORT (0: any that is free),
PINION_LOCAL_FOLDER (.pinion): what it keeps.
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
};

const root = fileURLToPath(new URL('..', import.meta.url));

/** What `npm start` is told by arguments and environment; `help` when it is asked for it. Throws USAGE, SETTING_INVALID. */
export function readLocalSettings(argv: readonly string[], env: NodeJS.ProcessEnv): LocalSettings | 'help' {
  const { values } = parse(argv);
  if (values.help) return 'help';
  const port = (setting: string, fallback: number, lowest: number) => {
    const value = Number(env[setting] ?? fallback);
    if (Number.isInteger(value) && value >= lowest && value <= 65_535) return value;
    throw new Failure('SETTING_INVALID', { setting, problem: `not a port number from ${lowest} to 65535` });
  };
  return {
    // npm runs scripts in the project's folder and says where the caller was.
    appDir: values['app-dir'] === undefined ? join(root, 'flask-app') : resolve(env.INIT_CWD ?? '.', values['app-dir']),
    mode: values.once ? 'once' : 'stay',
    folder: env.PINION_LOCAL_FOLDER === undefined ? join(root, '.pinion') : resolve(env.INIT_CWD ?? '.', env.PINION_LOCAL_FOLDER),
    address: '127.0.0.1',
    trafficPort: port('PINION_TRAFFIC_PORT', 8000, 1),
    healthPort: port('PINION_HEALTH_PORT', 8081, 1),
    cloudPort: port('PINION_CLOUD_PORT', 0, 0),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: { 'app-dir': { type: 'string' }, once: { type: 'boolean' }, help: { type: 'boolean' } } });
  } catch (cause) {
    throw new Failure('USAGE', { detail: (cause as Error).message.replace(/\.$/, '') }, { cause });
  }
}

/** Throws PORT_IN_USE with the process that holds the first taken port. */
export async function requireFreePorts(address: string, ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const server = createServer();
    await new Promise<void>((done, fail) => {
      server.once('error', (cause) => fail(new Failure('PORT_IN_USE', { address: `${address}:${port}`, holder: portHolder(port) }, { cause })));
      server.listen(port, address, done);
    });
    await new Promise((done) => server.close(done));
  }
}
