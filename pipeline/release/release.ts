import { userInfo } from 'node:os';
import type { S3Client } from '@aws-sdk/client-s3';
import { GetParameterCommand, PutParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { Failure } from '../../contract/causes.ts';
import { type ReleaseNumber, releasePath } from '../../contract/names.ts';
import type { ReleaseRecord } from '../../contract/release.ts';

import description from '../../package.json' with { type: 'json' };
import { type Published, readBuilt, readPublished } from '../artifact/built.ts';
import { headObject, objectName } from '../artifact/publish.ts';
import { ask, type Clients } from '../aws.ts';
import { knownName, type Place, readConfigVersions } from '../config/parameters.ts';
import { readInfrastructure } from '../infrastructure.ts';
import { type Follow, followed } from '../progress.ts';
import { type Released, sha256Of } from './read.ts';
import { recordText } from './record.ts';

export type ReleaseOptions = Follow & {
  /** Versions in place of the newest, by config name. */
  readonly config?: Readonly<Record<string, number>>;
  readonly note?: string;
  readonly createdBy?: string;
  readonly now?: Date;
};
/** What a release takes over from a build, or from another release. */
type Origin = Pick<ReleaseRecord, 'artifact' | 'python' | 'platform' | 'minAgent' | 'commit' | 'note'> & { readonly names: readonly string[] };

/**
 * Makes the next release of the artifact that was built and published in `appDir`: one record, written last, that names its object version and
 * a version of every config name. Values are not decrypted. Throws NOT_BUILT, NOT_PUBLISHED, ARTIFACT_MISSING, ARTIFACT_SIZE_MISMATCH,
 * CONFIG_NAME_UNKNOWN, CONFIG_NOT_SET, CONFIG_VERSION_MISSING, RECORD_TOO_LARGE, RECORD_NOT_KEPT, INFRASTRUCTURE_*, AWS_*.
 */
export async function release(appDir: string, env: string, clients: Clients, options: ReleaseOptions = {}): Promise<Released> {
  const { signal } = followed(options);
  const { manifest, unpackedBytes, files, commit, ...built } = await readBuilt(appDir);
  const place = { app: manifest.app, env };
  const { artifactBucket } = await readInfrastructure(clients.ssm, place, ['artifactBucket'], signal);
  const published = await readPublished(appDir, built.sha256);
  if (published?.bucket !== artifactBucket) throw new Failure('NOT_PUBLISHED', { folder: appDir, bucket: artifactBucket });
  const { bucket, key, versionId, sha256, sizeBytes } = published;
  const artifact = { bucket, key, versionId, sha256, sizeBytes, unpackedBytes, files };
  const { config: names, python, platform } = manifest;
  return releaseFrom({ artifact, names, python, platform, minAgent: description.version, commit, note: '' }, place, clients, options);
}

/** Makes the next release of `place` with what it takes over from `origin`, and its own config. Throws what `release` does but NOT_*. */
export async function releaseFrom(origin: Origin, place: Place, clients: Clients, options: ReleaseOptions): Promise<Released> {
  const { signal } = followed(options);
  const [config] = await Promise.all([
    configVersions(clients.ssm, place, origin.names, options.config ?? {}, signal),
    assertThere(clients.s3, origin.artifact, signal),
  ]);
  return writeRecord(clients.ssm, composeRecord(place, origin, config, options), signal);
}

async function assertThere(s3: S3Client, published: Published, signal: AbortSignal): Promise<void> {
  const object = `${objectName(published)}?versionId=${published.versionId}`;
  const there = await headObject(s3, published, published.versionId, signal);
  if (there === undefined) throw new Failure('ARTIFACT_MISSING', { object });
  if (there.ContentLength !== published.sizeBytes) {
    throw new Failure('ARTIFACT_SIZE_MISMATCH', { object, found: there.ContentLength ?? 'no', expected: published.sizeBytes });
  }
}

async function configVersions(
  ssm: SSMClient,
  place: Place,
  names: readonly string[],
  chosen: Readonly<Record<string, number>>,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  for (const name of Object.keys(chosen)) knownName(names, name);
  const found = await readConfigVersions(ssm, place, names, chosen, signal);
  const missing = names.filter((name) => !found.has(name));
  const unset = missing.filter((name) => chosen[name] === undefined);
  if (unset.length > 0) throw new Failure('CONFIG_NOT_SET', { env: place.env, names: unset.join(', ') });
  for (const name of missing) throw new Failure('CONFIG_VERSION_MISSING', { name, version: chosen[name] ?? '' });
  return Object.fromEntries([...found.values()].map(({ name, version }) => [name, version]));
}

const composeRecord = (
  place: Place,
  { artifact, python, platform, minAgent, commit, note }: Origin,
  config: Record<string, number>,
  options: ReleaseOptions,
): ReleaseRecord => ({
  schemaVersion: 1,
  ...place,
  artifact,
  config,
  python,
  platform,
  minAgent,
  commit,
  createdAt: (options.now ?? new Date()).toISOString(),
  createdBy: (options.createdBy ?? whoRuns()).slice(0, 256),
  note: options.note ?? note,
});

/** The build service's initiator, else the user's name; a container's user may have none. */
function whoRuns(): string {
  const initiator = process.env.CODEBUILD_INITIATOR;
  if (initiator) return initiator;
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}

async function writeRecord(ssm: SSMClient, record: ReleaseRecord, signal: AbortSignal): Promise<Released> {
  const parameter = releasePath(record);
  const text = recordText(record);
  const put = new PutParameterCommand({ Name: parameter, Value: text, Type: 'String', Overwrite: true, Tier: 'Intelligent-Tiering' });
  const { Version: version = 0 } = await ask('PutParameter', parameter, () => ssm.send(put, { abortSignal: signal }));
  const read = new GetParameterCommand({ Name: `${parameter}:${version}` });
  const kept = await ask('GetParameter', `${parameter}:${version}`, () => ssm.send(read, { abortSignal: signal }));
  const [expected, found] = [sha256Of(text), sha256Of(kept.Parameter?.Value ?? '')];
  if (found !== expected) throw new Failure('RECORD_NOT_KEPT', { parameter, version, found, expected });
  return { release: version as ReleaseNumber, recordSha256: expected, record: JSON.parse(text) as ReleaseRecord };
}
