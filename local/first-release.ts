import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Infrastructure } from '../contract/infrastructure.ts';
import type { Place } from '../pipeline/config/parameters.ts';
import type { Settings } from '../pipeline/settings.ts';
import { type Cloud, makeInfrastructure, openCloud, shellEnvironment } from './cloud.ts';
import { runtimeFolderIn } from './instance.ts';
import { step } from './lines.ts';
import type { Newest } from './release.ts';
import type { LocalSettings } from './settings.ts';

export type Prepared = {
  readonly cloud: Cloud;
  readonly place: Place;
  readonly infrastructure: Infrastructure;
  readonly app: Settings;
  readonly environmentFile: string;
  /** Python that the app was built for; not the one it asks for where this machine lacks that. */
  readonly python: string;
  readonly newest: Newest;
};

const env = 'local';

/**
 * From nothing to a release: the cloud, the infrastructure document, config, build, publish, release; prints each with its milliseconds.
 * `undo` gets what takes it down again, also when it fails half-way. Throws what the CLI's verbs throw.
 */
export async function makeFirstRelease(settings: LocalSettings, signal: AbortSignal, undo: (work: () => Promise<unknown>) => void): Promise<Prepared> {
  const { appDir, folder, address, trafficPort, cloudPort, cloudEndpoint } = settings;
  // Before anything else is loaded: it takes longest.
  const starting = openCloud({ endpoint: cloudEndpoint, port: cloudPort }, signal);
  undo(() =>
    starting.then(
      (cloud) => cloud.stop(),
      () => {},
    ),
  );
  const [{ readSettings }, { publish }, { release }, { buildHere, setLocalConfig }] = await Promise.all([
    import('../pipeline/settings.ts'),
    import('../pipeline/artifact/publish.ts'),
    import('../pipeline/release/release.ts'),
    import('./release.ts'),
  ]);
  const app = await readSettings(appDir);
  const place = { app: app.app, env };
  const follow = { signal, say: () => {} };

  const fillCloud = async () => {
    const cloud = await step('cloud', starting, ({ endpoint }) => endpoint);
    const infrastructure = await makeInfrastructure(cloud, place, `http://${address}:${trafficPort}/`);
    await step('config', setLocalConfig(cloud.clients, place, app, signal), (set) => set.map(({ name, type }) => `${name} (${type})`).join(', '));
    return { cloud, infrastructure };
  };
  const building = step(
    'build',
    buildHere(appDir, follow),
    (it) => `Python ${it.manifest.python}, ${(it.sizeBytes / 1e6).toFixed(1)} MB, ${digest(it.sha256)}`,
  );
  const [{ cloud, infrastructure }, built] = await Promise.all([fillCloud(), building]);
  await step('publish', publish(appDir, env, cloud.clients, follow), ({ bucket }) => `to s3://${bucket}`);
  const made = await step('release', release(appDir, env, cloud.clients, follow), (it) => `number ${it.release}, record ${digest(it.recordSha256)}`);

  const environmentFile = join(folder, 'env');
  undo(() => rm(environmentFile, { force: true }));
  await mkdir(folder, { recursive: true });
  // A mode counts only for a new file.
  await rm(environmentFile, { force: true });
  await writeFile(environmentFile, shellEnvironment({ endpoint: cloud.endpoint, env, appDir, runtimeFolder: runtimeFolderIn(folder) }), { mode: 0o600 });
  const newest = { release: made.release, recordSha256: made.recordSha256, interpreter: built.interpreter };
  return { cloud, place, infrastructure, app, environmentFile, python: built.manifest.python, newest };
}

const digest = (sha256: string): string => `sha256 ${sha256.slice(0, 12)}…`;
