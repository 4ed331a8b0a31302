import { createHash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { HeadObjectCommand, type HeadObjectCommandOutput, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { Failure } from '../../contract/causes.ts';
import { artifactKey, type Sha256 } from '../../contract/names.ts';
import { ask, type Clients, statusOf } from '../aws.ts';
import { readInfrastructure } from '../infrastructure.ts';
import { type Follow, followed } from '../progress.ts';
import { artifactPath, type Built, type Published, readBuilt, writePublished } from './built.ts';

type PublishOptions = Follow & {
  /** Before attempt n + 1 comes a wait of up to 2^n times this. */
  readonly retryBaseMs?: number;
};
type Target = { readonly bucket: string; readonly key: string };

/**
 * Puts the built artifact into the bucket that the infrastructure document names, under its digest, never over another object. Publishing it
 * again finds it there: `already` is true, and the version is the same. Throws NOT_BUILT, ARTIFACT_ALTERED, ARTIFACT_CONFLICT,
 * BUCKET_MISSING, BUCKET_UNVERSIONED, INFRASTRUCTURE_*, AWS_*.
 */
export async function publish(
  appDir: string,
  env: string,
  { s3, ssm }: Clients,
  options: PublishOptions = {},
): Promise<Published & { readonly already: boolean }> {
  const { say, signal } = followed(options);
  const retryBaseMs = options.retryBaseMs ?? 300;
  const built = await readBuilt(appDir);
  const file = artifactPath(appDir);
  const [found, { artifactBucket }] = await Promise.all([
    digestOf(file, appDir),
    readInfrastructure(ssm, { app: built.manifest.app, env }, ['artifactBucket'], signal),
  ]);
  if (found !== built.sha256) throw new Failure('ARTIFACT_ALTERED', { file, found, expected: built.sha256 });
  const target = { bucket: artifactBucket, key: artifactKey(built.manifest.app, built.sha256) };
  const object = objectName(target);
  say({ event: 'publishing', object, sizeBytes: built.sizeBytes });
  const { versionId, already } = await putOnce(s3, target, file, built, retryBaseMs, signal);
  if (versionId === undefined || versionId === 'null') throw new Failure('BUCKET_UNVERSIONED', { object });
  const published: Published = { ...target, versionId, sha256: built.sha256, sizeBytes: built.sizeBytes };
  await writePublished(appDir, published);
  return { ...published, already };
}

export const objectName = ({ bucket, key }: Target): string => `s3://${bucket}/${key}`;

async function digestOf(file: string, folder: string): Promise<Sha256> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  } catch (cause) {
    throw new Failure('NOT_BUILT', { folder }, { cause });
  }
  return hash.digest('hex') as Sha256;
}

const attempts = 4;

/** The SDK does not send a stream twice, so attempts are counted here; 409 is another put of this key that has not ended. */
async function putOnce(
  s3: S3Client,
  target: Target,
  file: string,
  built: Built,
  retryBaseMs: number,
  signal: AbortSignal,
): Promise<{ versionId?: string | undefined; already: boolean }> {
  const object = objectName(target);
  for (let attempt = 1; ; attempt++) {
    const body = createReadStream(file, { highWaterMark: 1 << 18 });
    try {
      const put = await ask('PutObject', object, () => s3.send(putCommand(target, body, built), { abortSignal: signal }));
      return { versionId: put.VersionId, already: false };
    } catch (thrown) {
      const status = thrown instanceof Failure ? statusOf(thrown.cause) : undefined;
      if (status === 412) {
        const there = await headObject(s3, target, undefined, signal);
        if (there !== undefined) return { versionId: versionOfEqual(there, object, built), already: true };
      }
      const mayEnd = status === 409 || status === 412 || (thrown instanceof Failure && thrown.code === 'AWS_UNAVAILABLE');
      if (!mayEnd) throw thrown;
      if (attempt === attempts) throw status === 409 || status === 412 ? unavailable(object, thrown) : thrown;
    } finally {
      body.destroy();
    }
    await wait(Math.random() * retryBaseMs * 2 ** attempt, undefined, { signal });
  }
}

const unavailable = (resource: string, cause: unknown) =>
  new Failure('AWS_UNAVAILABLE', { action: 'PutObject', resource, detail: 'another put of it does not end' }, { cause });

const base64 = (sha256: Sha256): string => Buffer.from(sha256, 'hex').toString('base64');

const putCommand = ({ bucket, key }: Target, body: ReadStream, { sha256, sizeBytes }: Built) =>
  new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    Body: body,
    ContentLength: sizeBytes,
    ContentType: 'application/zstd',
    ChecksumAlgorithm: 'SHA256',
    ChecksumSHA256: base64(sha256),
    IfNoneMatch: '*',
  });

/** What S3 says of the object, or of one version of it; undefined when it is not there. */
export function headObject(s3: S3Client, target: Target, versionId: string | undefined, signal: AbortSignal): Promise<HeadObjectCommandOutput | undefined> {
  const command = new HeadObjectCommand({ Bucket: target.bucket, Key: target.key, VersionId: versionId, ChecksumMode: 'ENABLED' });
  return ask('HeadObject', objectName(target), () =>
    s3.send(command, { abortSignal: signal }).catch((thrown) => {
      // 405 is a delete marker.
      if ([404, 405].includes(statusOf(thrown) ?? 0)) return undefined;
      throw thrown;
    }),
  );
}

function versionOfEqual(there: HeadObjectCommandOutput, object: string, built: Built): string | undefined {
  if (there.ChecksumSHA256 !== base64(built.sha256)) throw new Failure('ARTIFACT_CONFLICT', { object });
  return there.VersionId;
}
