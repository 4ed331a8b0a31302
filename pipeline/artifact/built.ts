import { randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../contract/causes.ts';
import { firstProblem } from '../../contract/document.ts';
import { type Manifest, manifestSchema } from '../../contract/manifest.ts';
import type { Sha256 } from '../../contract/names.ts';
import { type Artifact, artifactSchema, recordSchema } from '../../contract/release.ts';

/** What `build` made: `.pinion/build/artifact.json` beside `artifact.tar.zst`. */
export type Built = Pick<Artifact, 'sizeBytes' | 'unpackedBytes' | 'files'> & { readonly sha256: Sha256; readonly manifest: Manifest; readonly commit: string };
/** Where `publish` put it: `.pinion/build/published.json`. */
export type Published = Pick<Artifact, 'bucket' | 'key' | 'versionId' | 'sha256' | 'sizeBytes'>;

const { sha256, sizeBytes, unpackedBytes, files, bucket, key, versionId } = artifactSchema.properties;
const builtSchema = {
  $id: 'built',
  type: 'object',
  required: ['sha256', 'sizeBytes', 'unpackedBytes', 'files', 'manifest', 'commit'],
  properties: { sha256, sizeBytes, unpackedBytes, files, manifest: manifestSchema, commit: recordSchema.properties.commit },
} as const;
const publishedSchema = {
  $id: 'published',
  type: 'object',
  required: ['bucket', 'key', 'versionId', 'sha256', 'sizeBytes'],
  properties: { bucket, key, versionId, sha256, sizeBytes },
} as const;

export const buildFolder = (appDir: string): string => join(appDir, '.pinion', 'build');
export const artifactPath = (appDir: string): string => join(buildFolder(appDir), 'artifact.tar.zst');

/** What the last build in `appDir` made. Throws NOT_BUILT, also for a file that no build wrote. */
export async function readBuilt(appDir: string): Promise<Built> {
  const built = await readDocument(appDir, 'artifact.json', builtSchema);
  if (built === undefined) throw new Failure('NOT_BUILT', { folder: appDir });
  return built as Built;
}

/** Where the artifact with this digest was published last, or undefined. */
export async function readPublished(appDir: string, digest: Sha256): Promise<Published | undefined> {
  const published = (await readDocument(appDir, 'published.json', publishedSchema)) as Published | undefined;
  return published?.sha256 === digest ? published : undefined;
}

export const writeBuilt = (appDir: string, built: Built): Promise<void> => writeDocument(appDir, 'artifact.json', built);
export const writePublished = (appDir: string, published: Published): Promise<void> => writeDocument(appDir, 'published.json', published);

async function readDocument(appDir: string, name: string, schema: object): Promise<unknown> {
  try {
    const value: unknown = JSON.parse(await readFile(join(buildFolder(appDir), name), 'utf8'));
    return firstProblem(schema, value) === undefined ? value : undefined;
  } catch {
    return undefined;
  }
}

async function writeDocument(appDir: string, name: string, value: object): Promise<void> {
  const path = join(buildFolder(appDir), name);
  const partial = `${path}.${randomUUID()}.partial`;
  await writeFile(partial, `${JSON.stringify(value, undefined, 2)}\n`);
  await rename(partial, path);
}
