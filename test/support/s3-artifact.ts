import { CreateBucketCommand, PutBucketVersioningCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Artifact } from '../../contract/release.ts';
import { startMoto } from '../../local/moto.ts';
import { sha256 } from './pinned.ts';

/** A versioned bucket, and a client of the test's own that goes past every fault. */
export type ArtifactBucket = {
  readonly endpoint: string;
  readonly s3: S3Client;
  /** Stores `bytes` as `publish` does and gives the artifact that a record would name. */
  put(bytes: Buffer, key?: string): Promise<Artifact>;
};

type Test = { teardown(fn: () => unknown): unknown };

/** In the moto at `endpoint`; without one, in a moto of its own. */
export async function startBucket(t: Test, endpoint?: string): Promise<ArtifactBucket> {
  if (endpoint === undefined) {
    const moto = await startMoto();
    t.teardown(() => moto.stop());
    return startBucket(t, moto.endpoint);
  }
  const s3 = new S3Client({ endpoint, region: 'eu-west-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' }, forcePathStyle: true });
  t.teardown(() => s3.destroy());
  const bucket = 'artifacts';
  await s3.send(new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } }));
  await s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  return {
    endpoint,
    s3,
    async put(bytes, key = `shop/${sha256(bytes)}.tar.zst`) {
      const checksum = { ChecksumAlgorithm: 'SHA256', ChecksumSHA256: Buffer.from(sha256(bytes), 'hex').toString('base64') } as const;
      const { VersionId: versionId = '' } = await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes, ...checksum }));
      return { bucket, key, versionId, sha256: sha256(bytes), sizeBytes: bytes.length, unpackedBytes: bytes.length, files: 1 };
    },
  };
}
