import { Failure } from '../../contract/causes.ts';
import type { Clients } from '../aws.ts';
import type { Place } from '../config/parameters.ts';
import { readInfrastructure } from '../infrastructure.ts';
import { followed } from '../progress.ts';
import { type Released, readRelease } from './read.ts';
import { type ReleaseOptions, releaseFrom } from './release.ts';

/**
 * Makes the next release of `place` from a release of the environment `from`, its newest unless `from` has a number: the same artifact, with
 * this environment's config. Throws RELEASE_MISSING, RECORD_INVALID, ARTIFACT_BUCKET_DIFFERS, and what `release` does but NOT_*.
 */
export async function promote(
  place: Place,
  from: { readonly env: string; readonly release: number | undefined },
  clients: Clients,
  options: ReleaseOptions = {},
): Promise<Released> {
  const { signal } = followed(options);
  const { artifactBucket } = await readInfrastructure(clients.ssm, place, ['artifactBucket'], signal);
  const { record, release } = await readRelease(clients.ssm, { app: place.app, env: from.env }, from.release, signal);
  const note = `from ${from.env}:${release}`;
  if (record.artifact.bucket !== artifactBucket) {
    throw new Failure('ARTIFACT_BUCKET_DIFFERS', { from: `${from.env}:${release}`, found: record.artifact.bucket, env: place.env, bucket: artifactBucket });
  }
  return releaseFrom({ ...record, names: Object.keys(record.config), note }, place, clients, options);
}
