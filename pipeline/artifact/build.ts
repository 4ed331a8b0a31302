import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { printable } from '../../contract/artifact-path.ts';
import { Failure } from '../../contract/causes.ts';
import type { Manifest } from '../../contract/manifest.ts';
import { type Follow, followed } from '../progress.ts';
import { readSettings, type Settings } from '../settings.ts';
import { writeArchive } from './archive.ts';
import { type Built, buildFolder, writeBuilt } from './built.ts';
import { sourceCommit } from './commit.ts';
import { findInterpreter, type Interpreter } from './interpreter.ts';
import { makePack, openPack } from './pack.ts';
import { appFiles } from './source.ts';
import { mergeTree } from './tree.ts';
import { wheelPacks } from './wheels.ts';

type BuildOptions = Follow & {
  /** `X.Y` in place of the one in the settings. */
  readonly python?: string;
  /** Where PATH, pip's settings and the build service's variables come from; default this process. */
  readonly env?: NodeJS.ProcessEnv;
};

/**
 * Builds the app in `appDir` into `.pinion/build/artifact.tar.zst`. The same sources, lock, interpreter build and platform give the same
 * bytes, whatever the folder, user, umask or date. `interpreter` is the path of the Python it was built with.
 * Throws SETTINGS_*, PYTHON_MISSING, REQUIREMENTS_MISSING, WHEELS_UNAVAILABLE, WHEEL_REFUSED, GUNICORN_MISSING, SOURCE_REFUSED, GIT_FAILED.
 */
export async function build(appDir: string, options: BuildOptions = {}): Promise<Built & { readonly interpreter: string }> {
  const { say, signal } = followed(options);
  const env = options.env ?? process.env;
  const folder = resolve(appDir);
  const settings = await readSettings(folder);
  const interpreter = await findInterpreter(options.python ?? settings.python, env, signal);
  say({ event: 'interpreter', version: interpreter.version, path: interpreter.path });
  const into = buildFolder(folder);
  await mkdir(into, { recursive: true });
  await writeFile(join(folder, '.pinion', '.gitignore'), '*\n');

  const wheels = await wheelPacks({ appDir: folder, cacheFolder: join(folder, '.pinion', 'cache'), env }, interpreter, say, signal);
  const partial = join(into, `artifact.${randomUUID()}.partial`);
  const appPack = `${partial}.pack`;
  try {
    const { files, ignored } = await appFiles(folder, settings, env, signal);
    if (ignored[0] !== undefined) say({ event: 'ignored', count: ignored.length, first: ignored[0] });
    const source = { kind: 'folder', path: folder, prefix: 'app', files } as const;
    const uncompiled = await makePack(source, appPack, interpreter, signal, (path, reason) => new Failure('SOURCE_REFUSED', { path: printable(path), reason }));
    for (const path of uncompiled) say({ event: 'uncompiled', path });
    const app = await openPack('the app', appPack);
    if (app === undefined) throw new Failure('INTERNAL_ERROR', { detail: 'the pack of the app cannot be read back' });

    const manifest = composeManifest(settings, interpreter);
    const entries = mergeTree(Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`), wheels, app);
    const sizes = entries.flatMap((entry) => (entry.kind === 'file' ? [entry.sizeBytes] : []));
    const unpackedBytes = sizes.reduce((sum, sizeBytes) => sum + sizeBytes, 0);
    say({ event: 'archiving', files: sizes.length, unpackedBytes });
    const { sha256, sizeBytes } = await writeArchive(entries, partial, signal);
    const commit = await sourceCommit(folder, env, signal);
    const built: Built = { sha256, sizeBytes, unpackedBytes, files: sizes.length, manifest, commit };
    await rename(partial, join(into, 'artifact.tar.zst'));
    await writeBuilt(folder, built);
    return { ...built, interpreter: interpreter.path };
  } finally {
    await rm(partial, { force: true });
    await rm(appPack, { force: true });
  }
}

/** The manifest, its keys in a fixed order. */
const composeManifest = ({ app, entryPoint, gunicorn, healthPath, releaseHeader, config }: Settings, { python, platform }: Interpreter): Manifest => ({
  schemaVersion: 1,
  app,
  entryPoint,
  python,
  platform,
  gunicorn,
  healthPath,
  ...(releaseHeader === undefined ? {} : { releaseHeader }),
  config: [...config],
});
