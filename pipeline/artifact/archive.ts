import { createHash } from 'node:crypto';
import { closeSync, createWriteStream, openSync, readSync } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { Failure } from '../../contract/causes.ts';
import type { Sha256 } from '../../contract/names.ts';
import type { TreeEntry } from './tree.ts';

const block = 512;
/** The largest size that eleven octal digits hold. */
const largestOctal = 0o77777777777;

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');

function header(name: Buffer, prefix: Buffer, mode: number, sizeBytes: number, typeflag: string): Buffer {
  const bytes = Buffer.alloc(block);
  name.copy(bytes, 0);
  bytes.write(`${octal(mode, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0${octal(sizeBytes, 11)}\0${octal(0, 11)}\0${' '.repeat(8)}${typeflag}`, 100, 'latin1');
  bytes.write('ustar\x0000', 257, 'latin1');
  bytes.write(`${octal(0, 7)}\0${octal(0, 7)}\0`, 329, 'latin1');
  prefix.copy(bytes, 345);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return bytes;
}

/** Splits a path at a slash into ustar's prefix (≤ 155 bytes) and name (≤ 100), or gives undefined when it does not fit. */
function split(path: Buffer): { readonly prefix: Buffer; readonly name: Buffer } | undefined {
  if (path.length <= 100) return { prefix: Buffer.alloc(0), name: path };
  // The last slash that leaves a name: a folder's own slash ends its name.
  for (let at = path.lastIndexOf('/', -2); at > 0; at = path.lastIndexOf('/', at - 1)) {
    if (path.length - at - 1 > 100) return undefined;
    if (at <= 155) return { prefix: path.subarray(0, at), name: path.subarray(at + 1) };
  }
  return undefined;
}

/** `LEN key=value\n`, where LEN counts itself (POSIX pax format). */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

const padded = (sizeBytes: number): number => Math.ceil(sizeBytes / block) * block;

/**
 * The header blocks of one entry: ustar, with a pax header before it for a path or a size that ustar cannot hold.
 * Nothing of the machine goes in: owner 0, time 0, mode 0644 or 0755.
 */
export function entryHeader(entry: TreeEntry): Buffer {
  const isFolder = entry.kind === 'folder';
  const path = Buffer.from(isFolder ? `${entry.path}/` : entry.path);
  const mode = isFolder || entry.executable ? 0o755 : 0o644;
  const sizeBytes = isFolder ? 0 : entry.sizeBytes;
  const fitting = split(path);
  const records: Buffer[] = [];
  if (fitting === undefined) records.push(paxRecord('path', path.toString()));
  if (sizeBytes > largestOctal) records.push(paxRecord('size', String(sizeBytes)));
  const { prefix, name } = fitting ?? { prefix: Buffer.alloc(0), name: Buffer.from('long') };
  const own = header(name, prefix, mode, sizeBytes > largestOctal ? 0 : sizeBytes, isFolder ? '5' : '0');
  if (records.length === 0) return own;
  const body = Buffer.concat(records);
  return Buffer.concat([header(Buffer.from('pax'), Buffer.alloc(0), 0o644, body.length, 'x'), body, Buffer.alloc(padded(body.length) - body.length), own]);
}

const chunkBytes = 1 << 20;

/** The archive as buffers of 1 MiB, the last one shorter: cut by position alone, so that compression sees the same calls for the same tree. */
export function* archiveChunks(entries: readonly TreeEntry[]): Generator<Buffer> {
  let chunk = Buffer.allocUnsafe(chunkBytes);
  let used = 0;
  const packs = new Map<string, number>();
  const full = function* () {
    if (used < chunkBytes) return;
    yield chunk;
    chunk = Buffer.allocUnsafe(chunkBytes);
    used = 0;
  };
  const put = function* (bytes: Uint8Array) {
    for (let at = 0; at < bytes.length; ) {
      const taken = Math.min(bytes.length - at, chunkBytes - used);
      chunk.set(bytes.subarray(at, at + taken), used);
      at += taken;
      used += taken;
      yield* full();
    }
  };
  try {
    for (const entry of entries) {
      yield* put(entryHeader(entry));
      if (entry.kind === 'folder') continue;
      if (entry.bytes instanceof Uint8Array) {
        yield* put(entry.bytes);
      } else {
        const { packPath, offset } = entry.bytes;
        const descriptor = packs.get(packPath) ?? openSync(packPath, 'r');
        packs.set(packPath, descriptor);
        for (let at = 0; at < entry.sizeBytes; ) {
          const read = readSync(descriptor, chunk, used, Math.min(entry.sizeBytes - at, chunkBytes - used), offset + at);
          if (read === 0) throw new Failure('INTERNAL_ERROR', { detail: `${packPath} became shorter while it was read` });
          at += read;
          used += read;
          yield* full();
        }
      }
      yield* put(Buffer.alloc(padded(entry.sizeBytes) - entry.sizeBytes));
    }
    yield* put(Buffer.alloc(2 * block));
    if (used > 0) yield chunk.subarray(0, used);
  } finally {
    for (const descriptor of packs.values()) closeSync(descriptor);
  }
}

/** Measured on 78 MB of wheels: level 3 gives 31.6 MB in 0.3 s, 9 gives 29.2 in 1.3 s, 12 gives 29.0 in 2.7 s, 19 gives 27.4 in 35 s. */
const compressionLevel = 9;

/** Writes the compressed archive to `path` and gives its digest and size. One thread, so that equal trees are equal bytes. */
export async function writeArchive(entries: readonly TreeEntry[], path: string, signal: AbortSignal): Promise<{ sha256: Sha256; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      done(null, chunk);
    },
  });
  const compress = createZstdCompress({
    chunkSize: chunkBytes,
    params: { [constants.ZSTD_c_compressionLevel]: compressionLevel, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  const source = Readable.from(archiveChunks(entries), { objectMode: true, highWaterMark: 2 });
  await pipeline(source, compress, meter, createWriteStream(path, { mode: 0o600 }), { signal });
  return { sha256: hash.digest('hex') as Sha256, sizeBytes };
}
