import { createHash, type Hash, hash } from 'node:crypto';
import { chmodSync, closeSync, constants, createReadStream, fchmodSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress, constants as zlib } from 'node:zlib';
import { Failure } from '../../contract/causes.ts';
import type { Manifest } from '../../contract/manifest.ts';
import type { Release } from '../../contract/release.ts';
import type { Entry } from './archive-entry.ts';
import { archiveReader } from './archive-reader.ts';
import { diskFailure } from './disk-space.ts';
import type { VerifiedFile } from './download.ts';
import { boundGarbage } from './garbage.ts';
import { type InstalledFile, writeInstallList } from './installed.ts';
import { readManifest } from './manifest.ts';
import { objectName, releasePaths } from './release-paths.ts';

declare const unpacked: unique symbol;
/** A whole release on disk whose every byte was verified. Only `unpack` and `findInstalled` give one. */
export type ReleaseTree = { readonly path: string; readonly manifest: Manifest; readonly [unpacked]: true };

/** Decompressed bytes in flight: larger chunks gain nothing and count against the boot child's 150 MB. */
const chunkBytes = 512 * 1024;
/** A frame that wants a larger window is not ours: level 19 asks for 8 MB, more would be memory that an archive chooses. */
const windowLogMax = 23;

/**
 * Unpacks a verified archive into `<stateFolder>/releases/<sha256>`: into `.partial`, list written, one rename; the archive is gone afterwards. On any
 * failure nothing is left. Why no sync: see `findInstalled`. Throws ARCHIVE_REFUSED, ARCHIVE_CORRUPT, ARCHIVE_TOO_LARGE, ARCHIVE_TRUNCATED,
 * MANIFEST_INVALID, DISK_FULL, INODES_FULL, STATE_UNWRITABLE.
 */
export async function unpack(file: VerifiedFile, release: Release, stateFolder: string, signal: AbortSignal): Promise<ReleaseTree> {
  const { tree, list, partialTree } = releasePaths(stateFolder, release.artifact);
  const { files, unpackedBytes } = release.artifact;
  const object = objectName(release.artifact);
  const writer = treeWriter(partialTree);
  try {
    for (const old of [list, tree, partialTree]) rmSync(old, { recursive: true, force: true });
    writer.begin();
    const reader = archiveReader({ object, files, unpackedBytes }, writer);
    const source = createReadStream(file.path, { highWaterMark: chunkBytes });
    // Room for chunks to wait in, so that decompression (thread pool) and writing (here) overlap.
    const room = { chunkSize: chunkBytes, readableHighWaterMark: 4 * chunkBytes };
    const decompress = createZstdDecompress({ ...room, params: { [zlib.ZSTD_d_windowLogMax]: windowLogMax } });
    const passed = boundGarbage();
    const read = async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        reader.push(chunk);
        passed(chunk.length);
      }
    };
    await pipeline(source, decompress, read, { signal });
    if (decompress.bytesWritten !== statSync(file.path).size) throw new Failure('ARCHIVE_CORRUPT', { object, detail: 'something follows its end' });
    reader.end();
    const manifest = readManifest(partialTree, release);
    writeInstallList(list, writer.files);
    renameSync(partialTree, tree);
    return { path: tree, manifest } as ReleaseTree;
  } catch (thrown) {
    writer.close();
    const left = { bytes: unpackedBytes - writer.writtenBytes(), inodes: files - writer.files.length };
    const failure = diskFailure(thrown, stateFolder, left);
    discard(list, partialTree);
    signal.throwIfAborted();
    const { code } = thrown as { code?: unknown };
    // ABORT_ERR without our signal: decompression was over before its input was.
    if (typeof code !== 'string' || !/^(ZSTD_|Z_|ABORT_ERR)/.test(code)) throw failure;
    throw new Failure('ARCHIVE_CORRUPT', { object, detail: code === 'ABORT_ERR' ? 'something follows its end' : `zstd says ${code}` }, { cause: thrown });
  } finally {
    discard(file.path);
  }
}

/** What cannot be removed here is removed by the next start; the failure that led here is the one to tell. */
function discard(...paths: readonly string[]): void {
  for (const path of paths) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {}
  }
}

/** Writes an archive's entries below `folder`, which is ours alone: made anew, and without a link anywhere in it. */
function treeWriter(folder: string) {
  const files: InstalledFile[] = [];
  let writtenBytes = 0;
  let isUmaskInTheWay = false;
  let open: { readonly entry: Entry; readonly descriptor: number; sha256: string; digest: Hash | undefined } | undefined;
  const makeFolder = (path: string) => {
    mkdirSync(path, { mode: 0o750 });
    if (isUmaskInTheWay) chmodSync(path, 0o750);
  };

  return {
    files,
    writtenBytes: () => writtenBytes,
    begin(): void {
      makeFolder(folder);
      // A file's 0640 and 0750 lose no bit that this one keeps; so 4,600 chmods are saved.
      isUmaskInTheWay = (statSync(folder).mode & 0o777) !== 0o750;
      if (isUmaskInTheWay) chmodSync(folder, 0o750);
    },
    folder({ path }: Entry): void {
      makeFolder(`${folder}/${path}`);
    },
    file(entry: Entry): void {
      const mode = entry.executable ? 0o750 : 0o640;
      const descriptor = openSync(`${folder}/${entry.path}`, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode);
      open = { entry, descriptor, sha256: emptySha256, digest: undefined };
      if (isUmaskInTheWay) fchmodSync(descriptor, mode);
    },
    contents(bytes: Uint8Array): void {
      if (open === undefined) return;
      for (let at = 0; at < bytes.length; ) at += writeSync(open.descriptor, bytes, at);
      writtenBytes += bytes.length;
      // Most files lie in one chunk: hashing them in one call is quicker.
      if (bytes.length === open.entry.sizeBytes) {
        open.sha256 = hash('sha256', bytes);
      } else {
        open.digest ??= createHash('sha256');
        open.digest.update(bytes);
      }
    },
    fileEnd(): void {
      if (open === undefined) return;
      const { entry, digest, sha256 } = open;
      this.close();
      files.push({ path: entry.path, sizeBytes: entry.sizeBytes, sha256: digest?.digest('hex') ?? sha256 });
    },
    close(): void {
      if (open !== undefined) closeSync(open.descriptor);
      open = undefined;
    },
  };
}

const emptySha256 = hash('sha256', '');
