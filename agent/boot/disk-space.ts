import { chmodSync, existsSync, mkdirSync, type StatsFs, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../../contract/causes.ts';
import type { Artifact } from '../../contract/release.ts';

type Wanted = { readonly bytes: number; readonly inodes: number };
/** Folders, the list, the environment file: what no record counts. */
const marginBytes = 16 * 1024 * 1024;

/** Bytes and inodes that installing `artifact` takes at its peak: archive and tree side by side, every file rounded up to a block, a folder for every fourth file. */
export const wantedFor = ({ sizeBytes, unpackedBytes, files }: Artifact, blockBytes: number): Wanted => ({
  bytes: sizeBytes + unpackedBytes + files * blockBytes + marginBytes,
  inodes: files + Math.ceil(files / 4) + 16,
});

/** Makes `folder` and sees that `artifact` fits its file system. Throws DISK_FULL or INODES_FULL with what is missing, STATE_UNWRITABLE. */
export function reserveSpace(folder: string, artifact: Artifact): void {
  const free = onDisk(folder, { bytes: 0, inodes: 1 }, () => {
    mkdirSync(dirname(folder), { recursive: true });
    // Not recursive: that says ENOENT on a read-only file system.
    if (!existsSync(folder)) mkdirSync(folder);
    // Whatever the umask: the app runs as another user, of the folder's group.
    chmodSync(folder, 0o750);
    return statfsSync(folder);
  });
  const wanted = wantedFor(artifact, free.bsize);
  const missingBytes = wanted.bytes - free.bavail * free.bsize;
  if (missingBytes > 0) throw new Failure('DISK_FULL', { folder, missingBytes });
  // A file system that makes inodes as it goes (btrfs) counts none.
  const missingInodes = free.files === 0 ? 0 : wanted.inodes - free.ffree;
  if (missingInodes > 0) throw new Failure('INODES_FULL', { folder, missingInodes });
}

/** Runs `work` on files under `folder`; its system errors become DISK_FULL or INODES_FULL (`wanted` is what it still had to write) or STATE_UNWRITABLE. */
export function onDisk<T>(folder: string, wanted: Wanted, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw diskFailure(thrown, folder, wanted);
  }
}

/** A system error met under `folder` as a Failure; anything else as it is. */
export function diskFailure(thrown: unknown, folder: string, wanted: Wanted): unknown {
  if (!(thrown instanceof Error && 'syscall' in thrown)) return thrown;
  const { code = thrown.message, path = folder } = thrown as NodeJS.ErrnoException;
  const options = { cause: thrown };
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return new Failure('STATE_UNWRITABLE', { path, detail: code }, options);
  const free = freeOf(folder);
  if (free !== undefined && free.files > 0 && free.ffree === 0)
    return new Failure('INODES_FULL', { folder, missingInodes: Math.max(1, wanted.inodes) }, options);
  return new Failure('DISK_FULL', { folder, missingBytes: Math.max(1, wanted.bytes - (free === undefined ? 0 : free.bavail * free.bsize)) }, options);
}

function freeOf(folder: string): StatsFs | undefined {
  try {
    return statfsSync(folder);
  } catch {
    return undefined;
  }
}
