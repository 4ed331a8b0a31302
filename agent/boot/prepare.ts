import { accessSync, chmodSync, constants, mkdirSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '../../contract/causes.ts';
import type { Manifest } from '../../contract/manifest.ts';
import type { Release } from '../../contract/release.ts';
import type { UserData } from '../../contract/user-data.ts';
import { environmentFile } from '../app/environment.ts';
import { environmentName, gunicornConfig, gunicornConfigName } from '../app/gunicorn.ts';
import { appVariables } from '../credentials/app-variables.ts';
import { tokenName } from '../credentials/token.ts';
import { replaceFile } from '../replace-file.ts';
import type { Host } from './boot.ts';
import type { Config } from './config.ts';
import { diskFailure } from './disk-space.ts';
import type { Identity } from './identity.ts';
import { pruneReleases } from './installed.ts';
import type { ReleaseTree } from './unpack.ts';

/** A release that can be started: everything is on disk and `current` names it. Carries no value of config, so it may travel and be logged. */
export type Launch = {
  readonly app: string;
  readonly env: string;
  readonly instance: string;
  /** The host's own address, which the probe asks. */
  readonly address: string;
  readonly release: number;
  readonly commit: string;
  readonly config: Readonly<Record<string, number>>;
  readonly manifest: Manifest;
  readonly times: UserData['times'];
  /** The role whose credentials the app gets; undefined for none. */
  readonly appRoleArn?: string;
  /** When all of it was in place, in microseconds of CLOCK_MONOTONIC: what was started later runs this release. */
  readonly preparedAtUs: number;
};

/**
 * Makes the tree a virtual environment of this host's interpreter, writes the environment file (0400) and gunicorn's configuration,
 * switches `current`, and removes every other release. Throws INTERPRETER_MISSING, CONFIG_UNDELIVERABLE, DISK_FULL, INODES_FULL, STATE_UNWRITABLE.
 */
export async function prepare(host: Host, identity: Identity, release: Release, tree: ReleaseTree, config: Config): Promise<Launch> {
  const { app, env, number, commit } = release;
  const { manifest } = tree;
  const { instance, address, userData } = identity;
  const { times, appRoleArn } = userData;
  const vendedBy = async () => ({ region: await host.ssm.config.region(), port: host.credentialsPort, tokenFile: join(host.appFolder, tokenName) });
  const vended = appRoleArn === undefined ? undefined : await vendedBy();
  const variables = new Map([
    ['PATH', '/usr/local/bin:/usr/bin:/bin'],
    ['LANG', 'C.UTF-8'],
    // The tree is read-only to the app.
    ['PYTHONDONTWRITEBYTECODE', '1'],
    ['PYTHONUNBUFFERED', '1'],
    ...appVariables(vended, config.names),
    ...config.entries(),
    ['PINION_RELEASE', String(number)],
    ['PINION_COMMIT', commit],
    ['PINION_ENV', env],
    ['PINION_INSTANCE', instance],
  ]);
  const environment = environmentFile(variables);
  try {
    makeVirtualEnvironment(tree.path, host.interpreter ?? `/usr/bin/python${release.python}`, release.python);
    mkdirSync(host.runtimeFolder, { recursive: true, mode: 0o700 });
    replaceFile(join(host.runtimeFolder, environmentName), environment, 0o400);
    replaceFile(join(host.appFolder, gunicornConfigName), gunicornConfig(manifest, join(host.stateFolder, 'current'), host.bind), 0o640);
    replaceLink(join(host.stateFolder, 'current'), tree.path);
    await pruneReleases(host.stateFolder, release.artifact.sha256);
  } catch (thrown) {
    const { path = '' } = thrown as NodeJS.ErrnoException;
    throw diskFailure(thrown, path.startsWith(host.stateFolder) ? host.stateFolder : host.runtimeFolder, { bytes: Buffer.byteLength(environment), inodes: 2 });
  }
  const role = appRoleArn !== undefined && { appRoleArn };
  return { app, env, instance, address, release: number, commit, config: release.config, manifest, times, ...role, preparedAtUs: monotonicUs() };
}

const monotonicUs = () => Number(process.hrtime.bigint() / 1000n);

// What `python -m venv` writes, less the parts only pip needs (PEP 405).
function makeVirtualEnvironment(tree: string, interpreter: string, version: string): void {
  try {
    accessSync(interpreter, constants.X_OK);
  } catch (error) {
    throw new Failure('INTERPRETER_MISSING', { interpreter, detail: (error as NodeJS.ErrnoException).code ?? String(error) }, { cause: error });
  }
  const real = realpathSync(interpreter);
  replaceFile(join(tree, 'pyvenv.cfg'), `home = ${dirname(real)}\ninclude-system-site-packages = false\nversion = ${version}\n`, 0o640);
  mkdirSync(join(tree, 'bin'), { recursive: true });
  // Whatever the umask: the app runs as another user, of the folder's group.
  chmodSync(join(tree, 'bin'), 0o750);
  replaceLink(join(tree, 'bin', 'python'), real);
}

function replaceLink(path: string, target: string): void {
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  symlinkSync(target, partial);
  renameSync(partial, path);
}
