import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { Failure } from '../../contract/causes.ts';
import type { Artifact } from '../../contract/release.ts';
import { serviceFailure } from '../aws.ts';
import { fullJitterMs } from '../jitter.ts';
import type { Limits } from '../limits.ts';
import { onDisk, reserveSpace } from './disk-space.ts';
import { boundGarbage } from './garbage.ts';
import { objectName, releasePaths, releasesFolder } from './release-paths.ts';

declare const verified: unique symbol;
/** A file whose size and sha256 are the record's. Only `download` gives one, so that nothing else can be unpacked. */
export type VerifiedFile = { readonly path: string; readonly [verified]: true };

type DownloadLimits = Pick<Limits, 'stallWindowMs' | 'stallFloorBytesPerSecond' | 'downloadConnections' | 'retryBaseMs' | 'retryCapMs'>;

/**
 * Fetches an artifact by VersionId and hashes it on the way: one GetObject when nothing fails. A body that breaks off or stalls is resumed by range on a new
 * connection, each signed anew; a wrong digest is fetched once more from the start. On failure nothing is left. Throws ARTIFACT_MISSING, ARTIFACT_DENIED,
 * ARTIFACT_SIZE_MISMATCH, ARTIFACT_DIGEST_MISMATCH, DISK_FULL, INODES_FULL, STATE_UNWRITABLE; transient: DOWNLOAD_STALLED, S3_UNAVAILABLE, CREDENTIALS_UNAVAILABLE.
 */
export async function download(s3: S3Client, artifact: Artifact, stateFolder: string, limits: DownloadLimits, signal: AbortSignal): Promise<VerifiedFile> {
  const path = releasePaths(stateFolder, artifact).partialFile;
  reserveSpace(releasesFolder(stateFolder), artifact);
  try {
    for (let attempt = 1; ; attempt++) {
      const found = await fetchWhole(s3, artifact, path, limits, signal);
      if (found === artifact.sha256) return { path } as VerifiedFile;
      if (attempt === 2) throw new Failure('ARTIFACT_DIGEST_MISMATCH', { object: objectName(artifact), found, expected: artifact.sha256 });
    }
  } catch (thrown) {
    rmSync(path, { force: true });
    throw thrown;
  }
}

/** The artifact's bytes in `path`, over as many connections as the limits allow, and their sha256. */
async function fetchWhole(s3: S3Client, artifact: Artifact, path: string, limits: DownloadLimits, signal: AbortSignal): Promise<string> {
  const part = partialFile(path, artifact);
  try {
    let last: Failure | undefined;
    let fruitless = 0;
    for (let connection = 1; ; connection++) {
      const before = part.receivedBytes();
      try {
        await receive(s3, artifact, part, limits, signal);
        return part.sha256();
      } catch (thrown) {
        // Out of time: the last thing that went wrong says more than that.
        if (signal.aborted) throw last ?? signal.reason;
        last = thrown instanceof Failure ? thrown : serviceFailure(thrown, { service: 's3', action: 'GetObject', object: objectName(artifact) });
        if (!last.isTransient || connection >= limits.downloadConnections) throw last;
        fruitless = part.receivedBytes() > before ? 0 : fruitless + 1;
      }
      await wait(fullJitterMs(fruitless, limits.retryBaseMs, limits.retryCapMs, Math.random()), undefined, { signal }).catch(() => {
        throw last;
      });
    }
  } finally {
    part.close();
  }
}

/** What has arrived so far: bytes on disk, their running hash, and the ETag they belong to. */
function partialFile(path: string, artifact: Artifact) {
  let receivedBytes = 0;
  let digest = createHash('sha256');
  let etag: string | undefined;
  const disk = <T>(work: () => T) =>
    onDisk(dirname(path), { bytes: artifact.sizeBytes - receivedBytes + artifact.unpackedBytes, inodes: artifact.files }, work);
  const descriptor = disk(() => openSync(path, 'w', 0o600));
  return {
    receivedBytes: () => receivedBytes,
    etag: () => etag,
    sha256: () => digest.digest('hex'),
    restart(newEtag: string | undefined): void {
      if (receivedBytes > 0) disk(() => ftruncateSync(descriptor));
      receivedBytes = 0;
      digest = createHash('sha256');
      etag = newEtag;
    },
    write(chunk: Uint8Array): void {
      if (receivedBytes + chunk.length > artifact.sizeBytes) throw wrongSize(artifact, `at least ${receivedBytes + chunk.length}`);
      digest.update(chunk);
      disk(() => {
        for (let at = 0; at < chunk.length; ) at += writeSync(descriptor, chunk, at, chunk.length - at, receivedBytes + at);
      });
      receivedBytes += chunk.length;
    },
    close: () => closeSync(descriptor),
  };
}
type PartialFile = ReturnType<typeof partialFile>;

const wrongSize = (artifact: Artifact, found: string | number) =>
  new Failure('ARTIFACT_SIZE_MISMATCH', { object: objectName(artifact), found, expected: artifact.sizeBytes });
const unavailable = (artifact: Artifact, detail: string, cause?: unknown) =>
  new Failure('S3_UNAVAILABLE', { action: 'GetObject', object: objectName(artifact), detail }, { cause });

/** One connection: asks for what is missing and returns when all of it is there. */
async function receive(s3: S3Client, artifact: Artifact, part: PartialFile, limits: DownloadLimits, signal: AbortSignal): Promise<void> {
  const answer = await ask(s3, artifact, part, signal);
  const { Body: body } = answer;
  if (!(body instanceof Readable)) throw new Failure('INTERNAL_ERROR', { detail: 'the S3 client gave no stream' });
  // Bodies are outside the client's retries and timeouts: without this one that stops would be waited for until the boot deadline.
  let isStalled = false;
  let seenBytes = part.receivedBytes();
  const watch = setInterval(() => {
    isStalled = (part.receivedBytes() - seenBytes) * 1000 < limits.stallFloorBytesPerSecond * limits.stallWindowMs;
    seenBytes = part.receivedBytes();
    if (isStalled) body.destroy();
  }, limits.stallWindowMs);
  const passed = boundGarbage();
  const abort = () => body.destroy();
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    checkAnswer(answer, artifact, part);
    for await (const chunk of body) {
      part.write(chunk);
      passed(chunk.length);
    }
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    // All of it is there, whatever came after: the digest decides.
    if (part.receivedBytes() === artifact.sizeBytes) return;
    if (isStalled) {
      const names = { floorBytesPerSecond: limits.stallFloorBytesPerSecond, receivedBytes: part.receivedBytes(), sizeBytes: artifact.sizeBytes };
      throw new Failure('DOWNLOAD_STALLED', { object: objectName(artifact), ...names }, { cause: thrown });
    }
    throw thrown;
  } finally {
    clearInterval(watch);
    signal.removeEventListener('abort', abort);
    body.destroy();
  }
  if (part.receivedBytes() < artifact.sizeBytes) throw unavailable(artifact, 'the body ended early');
}

async function ask(s3: S3Client, artifact: Artifact, part: PartialFile, signal: AbortSignal): Promise<GetObjectCommandOutput> {
  const { bucket, key, versionId } = artifact;
  const [from, etag] = [part.receivedBytes(), part.etag()];
  const rest = from > 0 && { Range: `bytes=${from}-`, ...(etag !== undefined && { IfMatch: etag }) };
  try {
    return await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId, ...rest }), { abortSignal: signal });
  } catch (thrown) {
    const { name, $metadata } = thrown as { name?: string; $metadata?: { httpStatusCode?: number } };
    const status = $metadata?.httpStatusCode;
    // A delete marker answers 405, a version id that is none 400 (S3 API: GetObject).
    if (status === 405 || (status === 400 && name === 'InvalidArgument'))
      throw new Failure('ARTIFACT_MISSING', { object: objectName(artifact) }, { cause: thrown });
    if (status === 412 || status === 416) part.restart(undefined);
    const isRetried = status === 412 || status === 416;
    throw isRetried ? unavailable(artifact, `${status} ${name}`, thrown) : thrown;
  }
}

/** Holds the answer to what was asked before a byte of its body is taken. A whole body where a range was asked begins again from zero. */
function checkAnswer({ ContentRange, ContentLength, ETag }: GetObjectCommandOutput, artifact: Artifact, part: PartialFile): void {
  const [, start, rangeTotal] = /^bytes (\d+)-\d+\/(\d+)$/.exec(ContentRange ?? '') ?? [];
  if (ContentRange === undefined) part.restart(ETag);
  else if (Number(start) !== part.receivedBytes()) throw unavailable(artifact, `range ${ContentRange} where bytes=${part.receivedBytes()}- was asked`);
  const total = ContentRange === undefined ? ContentLength : Number(rangeTotal);
  if (total !== undefined && total !== artifact.sizeBytes) throw wrongSize(artifact, total);
}
