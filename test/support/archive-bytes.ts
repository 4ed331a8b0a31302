import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import type { VerifiedFile } from '../../agent/boot/download.ts';
import { releasePaths, releasesFolder } from '../../agent/boot/release-paths.ts';
import type { Manifest } from '../../contract/manifest.ts';
import type { ReleaseNumber } from '../../contract/names.ts';
import type { Release } from '../../contract/release.ts';
import { makeRecord, sha256 } from './pinned.ts';

/** One header of a hand-made archive, well-formed but for what is given. */
export type RawEntry = {
  readonly name: string | Buffer;
  readonly prefix?: string;
  readonly type?: string;
  readonly mode?: number;
  readonly contents?: string | Buffer;
  /** What the header says instead of the length of `contents`. */
  readonly sizeBytes?: number;
  readonly link?: string;
  /** Bytes laid over the header, by offset, before its checksum is made. */
  readonly over?: Readonly<Record<number, string | Buffer>>;
  /** Bytes laid over it after that. */
  readonly after?: Readonly<Record<number, string | Buffer>>;
  readonly padWith?: number;
};

const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
const lay = (block: Buffer, over: RawEntry['over'] = {}) => {
  for (const [at, bytes] of Object.entries(over)) Buffer.from(bytes).copy(block, Number(at));
};

/** A header and its contents, padded: any tar writer's, an attacker's too. Written apart from the product's own writer on purpose. */
export function rawEntry({ name, prefix = '', type = '0', mode = 0o644, contents = '', sizeBytes, link = '', over, after, padWith = 0 }: RawEntry): Buffer {
  const body = Buffer.from(contents);
  const block = Buffer.alloc(512);
  Buffer.from(name).copy(block, 0, 0, 100);
  const numbers = octal(mode, 7) + octal(0, 7) + octal(0, 7) + octal(sizeBytes ?? body.length, 11) + octal(0, 11);
  block.write(`${numbers}        ${type}${link}`, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(octal(0, 7) + octal(0, 7), 329, 'latin1');
  block.write(prefix, 345);
  lay(block, over);
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )} `,
    148,
    'latin1',
  );
  lay(block, after);
  return Buffer.concat([block, body, Buffer.alloc((512 - (body.length % 512)) % 512, padWith)]);
}

export const paxRecord = (key: string, value: string): string => {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest;
  while (length !== rest + String(length).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
};
/** An extended header of these records. */
export const rawExtension = (contents: string | Buffer, type = 'x'): Buffer => rawEntry({ name: 'pax', type, contents });
export const rawFolder = (name: string): Buffer => rawEntry({ name: `${name}/`, type: '5', mode: 0o755 });
export const end = Buffer.alloc(1024);

export const manifest: Manifest = {
  schemaVersion: 1,
  app: 'shop',
  entryPoint: 'app:app',
  python: '3.13',
  platform: makeRecord().platform,
  gunicorn: { workers: 2, threads: 4, timeoutSeconds: 30, gracefulTimeoutSeconds: 30, keepAliveSeconds: 75 },
  healthPath: '/healthz',
  config: [],
};
export const manifestText: string = JSON.stringify(manifest);
export const manifestEntry: Buffer = rawEntry({ name: 'manifest.json', contents: manifestText });

export const compress = (bytes: Buffer): Buffer => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });

type Counts = { readonly files?: number; readonly unpackedBytes?: number };

/** The release whose artifact is `compressed`; without counts, the largest a record can say. */
export const releaseOf = (compressed: Buffer, { files = 1000, unpackedBytes = 10_000_000 }: Counts = {}): Release => ({
  ...makeRecord({
    artifact: { bucket: 'artifacts', key: 'shop/a', versionId: 'v1', sha256: sha256(compressed), sizeBytes: compressed.length, unpackedBytes, files },
  }),
  number: 1 as ReleaseNumber,
  recordSha256: sha256('record'),
});

/** `compressed` where the download leaves it, taken as verified. */
export function downloaded(stateFolder: string, release: Release, compressed: Buffer): VerifiedFile {
  const path = releasePaths(stateFolder, release.artifact).partialFile;
  mkdirSync(releasesFolder(stateFolder), { recursive: true });
  writeFileSync(path, compressed);
  return { path } as VerifiedFile;
}

/** What an install has left on disk. */
export const leftIn = (stateFolder: string): readonly string[] =>
  readdirSync(stateFolder).flatMap((name) => (name === 'releases' ? readdirSync(join(stateFolder, name)) : [name]));
