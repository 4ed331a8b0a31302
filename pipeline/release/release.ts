import { createHash } from 'node:crypto';
import { userInfo } from 'node:os';
import { GetParameterCommand, PutParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { Failure } from '../../contract/causes.ts';
import { type ReleaseNumber, releasePath, type Sha256 } from '../../contract/names.ts';
import type { ReleaseRecord } from '../../contract/release.ts';

import description from '../../package.json' with { type: 'json' };
import { type Built, type Published, readBuilt, readPublished } from '../artifact/built.ts';
import { headObject, objectName } from '../artifact/publish.ts';
import { ask, type Clients } from '../aws.ts';
import { knownName, readConfigVersions } from '../config/parameters.ts';
import { readInfrastructure } from '../infrastructure.ts';
import { type Follow, followed } from '../progress.ts';
import { recordText } from './record.ts';

type ReleaseOptions = Follow & {
  /** Versions in place of the newest, by config name. */
  readonly config?: Readonly<Record<string, number>>;
  readonly note?: string;
  readonly createdBy?: string;
  readonly now?: Date;
};
export type Released = { readonly release: ReleaseNumber; readonly recordSha256: Sha256; readonly record: ReleaseRecord };

/**
 * Makes the next release of the artifact that was built and published in `appDir`: one record, written last, that names its object version and
 * a version of every config name. Values are not decrypted. Throws NOT_BUILT, NOT_PUBLISHED, ARTIFACT_MISSING, ARTIFACT_SIZE_MISMATCH,
 * CONFIG_NAME_UNKNOWN, CONFIG_NOT_SET, CONFIG_VERSION_MISSING, RECORD_TOO_LARGE, RECORD_NOT_KEPT, INFRASTRUCTURE_*, AWS_*.
 */
export async function release(appDir: string, env: string, { s3, ssm }: Clients, options: ReleaseOptions = {}): Promise<Released> {
  const { signal } = followed(options);
  const built = await readBuilt(appDir);
  const { app } = built.manifest;
  const place = { app, env };
  const { artifactBucket } = await readInfrastructure(ssm, place, ['artifactBucket'], signal);
  const published = await readPublished(appDir, built.sha256);
  if (published?.bucket !== artifactBucket) throw new Failure('NOT_PUBLISHED', { folder: appDir, bucket: artifactBucket });
  const [config] = await Promise.all([
    configVersions(ssm, place, built.manifest.config, options.config ?? {}, signal),
    assertThere({ s3, ssm }, published, signal),
  ]);
  const record = composeRecord(place, built, published, config, options);
  return writeRecord(ssm, record, signal);
}

async function assertThere({ s3 }: Clients, published: Published, signal: AbortSignal): Promise<void> {
  const object = `${objectName(published)}?versionId=${published.versionId}`;
  const there = await headObject(s3, published, published.versionId, signal);
  if (there === undefined) throw new Failure('ARTIFACT_MISSING', { object });
  if (there.ContentLength !== published.sizeBytes) {
    throw new Failure('ARTIFACT_SIZE_MISMATCH', { object, found: there.ContentLength ?? 'no', expected: published.sizeBytes });
  }
}

async function configVersions(
  ssm: SSMClient,
  place: { readonly app: string; readonly env: string },
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
  place: { readonly app: string; readonly env: string },
  { manifest, unpackedBytes, files, commit }: Built,
  { bucket, key, versionId, sha256, sizeBytes }: Published,
  config: Record<string, number>,
  options: ReleaseOptions,
): ReleaseRecord => ({
  schemaVersion: 1,
  ...place,
  artifact: { bucket, key, versionId, sha256, sizeBytes, unpackedBytes, files },
  config,
  python: manifest.python,
  platform: manifest.platform,
  minAgent: description.version,
  commit,
  createdAt: (options.now ?? new Date()).toISOString(),
  createdBy: (options.createdBy ?? whoRuns()).slice(0, 256),
  note: options.note ?? '',
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

const sha256Of = (text: string): Sha256 => createHash('sha256').update(text).digest('hex') as Sha256;
