import { Failure } from '../../contract/causes.ts';
import { releasePath } from '../../contract/names.ts';
import type { Clients } from '../aws.ts';
import type { Place } from '../config/parameters.ts';
import { readInfrastructure } from '../infrastructure.ts';
import { followed } from '../progress.ts';
import { type Released, readRelease } from './read.ts';
import { type ReleaseOptions, releaseFrom } from './release.ts';

export type From = {
  readonly env: string;
  /** Its newest where undefined. */
  readonly release: number | undefined;
  /** Of its record, where only that one is wanted: deleted and made again, a parameter counts from 1. */
  readonly recordSha256?: string | undefined;
};

/**
 * Makes the next release of `place` from a release of the environment `from`: the same artifact, with this environment's config.
 * Throws RELEASE_MISSING, RECORD_DIGEST_MISMATCH, RECORD_INVALID, ARTIFACT_BUCKET_DIFFERS, and what `release` does but NOT_*.
 */
export async function promote(place: Place, from: From, clients: Clients, options: ReleaseOptions = {}): Promise<Released> {
  const { signal } = followed(options);
  const { artifactBucket } = await readInfrastructure(clients.ssm, place, ['artifactBucket'], signal);
  const origin = { app: place.app, env: from.env };
  const { record, release, recordSha256: found } = await readRelease(clients.ssm, origin, from.release, signal);
  if (from.recordSha256 !== undefined && from.recordSha256 !== found) {
    throw new Failure('RECORD_DIGEST_MISMATCH', { parameter: releasePath(origin), version: release, found, expected: from.recordSha256 });
  }
  const note = `from ${from.env}:${release}`;
  if (record.artifact.bucket !== artifactBucket) {
    throw new Failure('ARTIFACT_BUCKET_DIFFERS', { from: `${from.env}:${release}`, found: record.artifact.bucket, env: place.env, bucket: artifactBucket });
  }
  return releaseFrom({ ...record, names: Object.keys(record.config), note }, place, clients, options);
}
