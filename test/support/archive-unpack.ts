/**
 * A program: installs one hand-made archive as a boot does and prints `{code, message}` of its failure, the files it unpacked, its peak memory and what is left.
 * Arguments: `large STATE MB` (a file of random bytes, two of zeros), `many STATE FILES`, `reserve STATE MB` (only asks for the space);
 * `large STATE MB make` and then `large STATE MB unpack` do it in two processes.
 * For tests that need a process: a file system of its own, its own memory.
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress } from 'node:zlib';
import '@aws-sdk/client-s3';
import '@aws-sdk/client-ssm';
import { reserveSpace } from '../../agent/boot/disk-space.ts';
import type { VerifiedFile } from '../../agent/boot/download.ts';
import { releasePaths, releasesFolder } from '../../agent/boot/release-paths.ts';
import { unpack } from '../../agent/boot/unpack.ts';
import { end, leftIn, manifestEntry, manifestText, rawEntry, releaseOf } from './archive-bytes.ts';
import { peakMemoryMb } from './peak-memory.ts';

const [what = '', state = '', amount = '0', only = 'both'] = process.argv.slice(2);
const mb = Number(amount) * 1_000_000;
const partBytes = 1_000_000;

/** The header alone; the contents follow in parts. */
const header = (name: string, sizeBytes: number) => rawEntry({ name, sizeBytes });
function* contents(sizeBytes: number, part: () => Buffer) {
  for (let at = 0; at < sizeBytes; at += partBytes) yield part();
  yield Buffer.alloc((512 - (sizeBytes % 512)) % 512);
}
function* archive() {
  yield manifestEntry;
  if (what === 'many') {
    for (let file = 0; file < Number(amount); file++) yield rawEntry({ name: `f${file}`, contents: 'x' });
  } else {
    yield header('random', mb / 2);
    yield* contents(mb / 2, () => randomBytes(partBytes));
    for (const name of ['zeros', 'more-zeros']) {
      yield header(name, mb / 4);
      yield* contents(mb / 4, () => Buffer.alloc(partBytes));
    }
  }
  yield end;
}

const counts =
  what === 'many' ? { files: Number(amount) + 1, unpackedBytes: Number(amount) + manifestText.length } : { files: 4, unpackedBytes: mb + manifestText.length };
const release = releaseOf(Buffer.alloc(0), counts);
let failure: { code?: string; message?: string } = {};
try {
  if (what === 'reserve') {
    reserveSpace(releasesFolder(state), { ...release.artifact, sizeBytes: mb });
  } else {
    const path = releasePaths(state, release.artifact).partialFile;
    mkdirSync(releasesFolder(state), { recursive: true });
    if (only !== 'unpack') await pipeline(archive, createZstdCompress(), createWriteStream(path));
    if (only !== 'make') await unpack({ path } as VerifiedFile, release, state, new AbortController().signal);
  }
} catch (thrown) {
  failure = thrown as { code: string; message: string };
}
const { code, message } = failure;
console.log(JSON.stringify({ code, message, files: counts.files, peakMb: peakMemoryMb(), left: leftIn(state) }));
