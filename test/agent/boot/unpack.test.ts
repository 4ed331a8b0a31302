import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { findInstalled } from '../../../agent/boot/installed.ts';
import { unpack } from '../../../agent/boot/unpack.ts';
import { Failure } from '../../../contract/causes.ts';
import type { Release } from '../../../contract/release.ts';
import { writeArchive } from '../../../pipeline/artifact/archive.ts';
import type { TreeEntry } from '../../../pipeline/artifact/tree.ts';
import {
  compress,
  downloaded,
  end,
  leftIn,
  manifest,
  manifestEntry,
  manifestText,
  paxRecord,
  rawEntry,
  rawExtension,
  rawFolder,
  releaseOf,
} from '../../support/archive-bytes.ts';

const { signal } = new AbortController();
const small = Buffer.concat([manifestEntry, rawFolder('app'), rawEntry({ name: 'app/main.py', contents: 'print()\n' }), end]);
const smallCounts = { files: 2, unpackedBytes: manifestText.length + 8 };

/** Unpacks `archive` for a release that says `counts`, in a folder of the test's own. */
async function attempt(t: Tap, compressed: Buffer, release: Release = releaseOf(compressed), stop: AbortSignal = signal) {
  const state = t.testdir();
  const file = downloaded(state, release, compressed);
  return { state, release, result: unpack(file, release, state, stop) };
}
type Expected = { code: string; isTransient?: boolean; message?: RegExp };
type Tap = { testdir(): string; rejects: typeof t.rejects; same: typeof t.same };

/** `archive` ends in this Failure and leaves nothing. */
async function refusedAs(t: Tap, archive: Buffer, failure: Expected, counts?: Parameters<typeof releaseOf>[1]): Promise<void> {
  const compressed = compress(archive);
  const { state, result } = await attempt(t, compressed, releaseOf(compressed, counts));
  await t.rejects(result, failure);
  t.same(leftIn(state), [], 'nothing is left');
  t.same(openIn(state), [], 'or open');
}

/** Files of the tree that this process holds open. */
const openIn = (state: string) =>
  readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(join(state, 'releases')) && !isArchive(descriptor);
    } catch {
      return false;
    }
  });
// A stream lets go of the archive a moment later.
const isArchive = (descriptor: string) => readlinkSync(`/proc/self/fd/${descriptor}`).includes('.tar.zst');

const file = (path: string, bytes: Buffer, executable = false): TreeEntry => ({ kind: 'file', path, executable, sizeBytes: bytes.length, bytes });
const folder = (path: string): TreeEntry => ({ kind: 'folder', path });

t.test('what the writer wrote comes out byte for byte, with modes of its own whatever the umask', async (t) => {
  const state = t.testdir();
  const long = `share/${'l'.repeat(120)}`;
  // Sizes around the block and around the chunks in which it is decompressed.
  const sizes = [0, 1, 511, 512, 513, 524_287, 524_288, 524_289, 3_000_000];
  const files = [
    file('manifest.json', Buffer.from(manifestText)),
    ...sizes.map((sizeBytes) => file(`app/f${sizeBytes}`, randomBytes(sizeBytes))),
    file('app/run', Buffer.from('#!'), true),
    file(`${long}/é`, Buffer.from('é')),
  ];
  const entries = [...files.slice(0, 1), folder('app'), ...files.slice(1, -1), folder('empty'), folder('share'), folder(long), ...files.slice(-1)];
  const { sha256, sizeBytes } = await writeArchive(entries, join(state, 'archive'), signal);
  const compressed = readFileSync(join(state, 'archive'));
  const unpackedBytes = files.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.sizeBytes : 0), 0);
  const release = releaseOf(compressed, { files: files.length, unpackedBytes });
  t.match(release.artifact, { sha256, sizeBytes });
  for (const umask of [0o000, 0o022, 0o077]) {
    const before = process.umask(umask);
    t.teardown(() => process.umask(before));
    const tree = await unpack(downloaded(state, release, compressed), release, state, signal);
    t.same(tree, { path: join(state, 'releases', sha256), manifest });
    for (const entry of entries) {
      const { mode } = statSync(join(tree.path, entry.path));
      t.equal((mode & 0o7777).toString(8), entry.kind === 'folder' || entry.executable ? '750' : '640', `${entry.path} with umask ${umask.toString(8)}`);
      if (entry.kind === 'file') t.ok(readFileSync(join(tree.path, entry.path)).equals(entry.bytes as Buffer), entry.path);
    }
    t.equal((statSync(tree.path).mode & 0o7777).toString(8), '750');
    t.same(leftIn(state).toSorted(), [sha256, `${sha256}.list`, 'archive'].toSorted(), 'the archive and the partial tree are gone');
    t.same(await findInstalled(state, release, signal), tree, 'and the next start trusts it');
  }
});

t.test('a release unpacked again replaces what is there', async (t) => {
  const compressed = compress(small);
  const release = releaseOf(compressed, smallCounts);
  const { state, result } = await attempt(t, compressed, release);
  await result;
  mkdirSync(join(state, 'releases', `${release.artifact.sha256}.partial`));
  await unpack(downloaded(state, release, compressed), release, state, signal);
  t.ok(await findInstalled(state, release, signal));
});

t.test('F11 F12 F13 F14 F18: a refused entry ends the install and nothing is left', async (t) => {
  const outside = t.testdir({ host: 'untouched' });
  const lib = rawFolder('lib');
  const cases: readonly [string, readonly Buffer[], string, RegExp][] = [
    ['dots', [rawEntry({ name: '../escaped', contents: 'x' })], '../escaped', /segment/],
    ['absolute', [rawEntry({ name: join(outside, 'escaped').slice(0, 99) })], join(outside, 'escaped').slice(0, 99), /absolute/],
    ['NUL', [rawExtension(paxRecord('path', 'a\0b')), rawEntry({ name: 'x' })], '(extended header)', /record/],
    [
      'link, then a write through it',
      [rawEntry({ name: 'lib', type: '2', link: outside }), rawEntry({ name: 'lib/host', contents: 'changed' })],
      'lib',
      /symbolic link/,
    ],
    ['hard link, then a write to it', [rawEntry({ name: 'x', type: '1', link: join(outside, 'host') }), rawEntry({ name: 'x' })], 'x', /hard link/],
    ['device', [rawEntry({ name: 'null', type: '3' })], 'null', /device/],
    ['FIFO', [rawEntry({ name: 'pipe', type: '6' })], 'pipe', /FIFO/],
    ['set-uid', [rawEntry({ name: 'su', mode: 0o4755 })], 'su', /mode/],
    ['duplicate', [lib, rawEntry({ name: 'lib/a' }), rawEntry({ name: 'lib/a' })], 'lib/a', /was there before/],
    ['case', [rawEntry({ name: 'a' }), rawEntry({ name: 'A' })], 'A', /was there before/],
  ];
  for (const [name, entries, entry, reason] of cases) {
    await t.test(name, (t) =>
      refusedAs(t, Buffer.concat([manifestEntry, ...entries, end]), {
        code: 'ARCHIVE_REFUSED',
        isTransient: false,
        message: new RegExp(`entry ${entry.replaceAll(/[.()]/g, '\\$&')} of s3://artifacts/shop/a\\?versionId=v1 is refused: .*${reason.source}`),
      }),
    );
  }
  await t.test('manifest not first', (t) =>
    refusedAs(t, Buffer.concat([rawEntry({ name: 'a' }), manifestEntry, end]), { code: 'ARCHIVE_REFUSED', message: /first entry/ }),
  );
  t.equal(readFileSync(join(outside, 'host'), 'utf8'), 'untouched');
  t.same(readdirSync(outside), ['host']);
});

t.test('F15: more files, bytes or folders than the record allows end it at once', async (t) => {
  await t.test('bytes', (t) =>
    refusedAs(t, small, { code: 'ARCHIVE_TOO_LARGE', isTransient: false }, { ...smallCounts, unpackedBytes: smallCounts.unpackedBytes - 1 }),
  );
  await t.test('files', (t) => refusedAs(t, small, { code: 'ARCHIVE_TOO_LARGE' }, { ...smallCounts, files: 1 }));
  await t.test('empty files', (t) => {
    const bomb = Array.from({ length: 5000 }, (_, index) => rawEntry({ name: `e${index}` }));
    return refusedAs(t, Buffer.concat([manifestEntry, ...bomb, end]), { code: 'ARCHIVE_TOO_LARGE' }, { files: 10 });
  });
  await t.test('folders', (t) => {
    const bomb = Array.from({ length: 5000 }, (_, index) => rawFolder(`d${index}`));
    return refusedAs(t, Buffer.concat([manifestEntry, ...bomb, end]), { code: 'ARCHIVE_TOO_LARGE' }, { files: 10 });
  });
  await t.test('depth', (t) => {
    const bomb = Array.from({ length: 60 }, (_, depth) =>
      rawFolder(
        Array(depth + 1)
          .fill('d')
          .join('/'),
      ).subarray(),
    );
    return refusedAs(t, Buffer.concat([manifestEntry, ...bomb, end]), { code: 'ARCHIVE_REFUSED', message: /32 folders deep/ });
  });
});

t.test('F15: a bomb by ratio is left at its header, whatever size that says', async (t) => {
  const zeros = Buffer.alloc(64_000_000);
  await t.test('a true header', async (t) => {
    const compressed = compress(Buffer.concat([manifestEntry, rawEntry({ name: 'zeros', contents: zeros }), end]));
    t.ok(compressed.length < 10_000, `${compressed.length} bytes`);
    const { state, result } = await attempt(t, compressed, releaseOf(compressed, { unpackedBytes: 1_000_000 }));
    await t.rejects(result, { code: 'ARCHIVE_TOO_LARGE' });
    t.same(leftIn(state), []);
  });
  await t.test('a header that says 1 byte', (t) =>
    refusedAs(t, Buffer.concat([manifestEntry, rawEntry({ name: 'zeros', sizeBytes: 1, contents: zeros }), end]), { code: 'ARCHIVE_CORRUPT' }),
  );
  await t.test('a size beyond all disks', (t) =>
    refusedAs(t, Buffer.concat([manifestEntry, rawExtension(paxRecord('size', '99999999999999')), rawEntry({ name: 'x' }), end]), {
      code: 'ARCHIVE_TOO_LARGE',
    }),
  );
  await t.test('a window of 1 GB', async (t) => {
    const params = { [constants.ZSTD_c_windowLog]: 30, [constants.ZSTD_c_enableLongDistanceMatching]: 1, [constants.ZSTD_c_contentSizeFlag]: 0 };
    const compressed = await streamed(Buffer.concat([small.subarray(0, -1024), Buffer.alloc(1024)]), params);
    const { state, result } = await attempt(t, compressed, releaseOf(compressed, smallCounts));
    await t.rejects(result, { code: 'ARCHIVE_CORRUPT', message: /zstd/ });
    t.same(leftIn(state), []);
  });
});

/** Compressed without a known size, so that the frame asks for the whole window. */
async function streamed(bytes: Buffer, params: Record<number, number>): Promise<Buffer> {
  const { createZstdCompress } = await import('node:zlib');
  const stream = createZstdCompress({ params });
  stream.write(bytes.subarray(0, 1));
  stream.flush();
  stream.end(bytes.subarray(1));
  return Buffer.concat(await stream.toArray());
}

t.test('F19: an archive truncated on a block edge says how much of it there is', async (t) => {
  const bodyEnd = small.length - end.length;
  const cuts = {
    'before the end blocks of a smaller archive': 1024,
    'after a folder': 1024 + 512,
    'after a header': bodyEnd - 512,
    'within the contents': bodyEnd - 508,
  };
  for (const [name, cut] of Object.entries(cuts)) {
    await t.test(name, (t) => {
      const found = { message: new RegExp(`unpacks to 1 files and ${manifestText.length} bytes; the record says 2 and ${smallCounts.unpackedBytes}`) };
      return refusedAs(t, small.subarray(0, cut), { code: 'ARCHIVE_TRUNCATED', isTransient: false, ...found }, smallCounts);
    });
  }
  await t.test('ended properly, but early', (t) => refusedAs(t, Buffer.concat([small.subarray(0, 1024), end]), { code: 'ARCHIVE_TRUNCATED' }, smallCounts));
  await t.test('without end blocks', (t) => refusedAs(t, small.subarray(0, bodyEnd), { code: 'ARCHIVE_CORRUPT', message: /end is missing/ }, smallCounts));
  await t.test('with one end block', (t) =>
    refusedAs(t, small.subarray(0, bodyEnd + 512), { code: 'ARCHIVE_CORRUPT', message: /end is missing/ }, smallCounts),
  );
});

t.test('what is not one whole archive is corrupt', async (t) => {
  const corrupt = (detail: RegExp) => ({ code: 'ARCHIVE_CORRUPT', isTransient: false, message: detail });
  await t.test('bytes after the end', (t) => refusedAs(t, Buffer.concat([small, Buffer.alloc(512)]), corrupt(/follows its end/), smallCounts));
  await t.test('a header after one zero block', (t) =>
    refusedAs(t, Buffer.concat([manifestEntry, Buffer.alloc(512), rawEntry({ name: 'x' }), end]), corrupt(/not zero/)),
  );
  await t.test('padding that holds something', (t) =>
    refusedAs(t, Buffer.concat([manifestEntry, rawEntry({ name: 'x', contents: 'x', padWith: 1 }), end]), corrupt(/not zero/)),
  );
  await t.test('an extension whose padding holds something', (t) =>
    refusedAs(
      t,
      Buffer.concat([manifestEntry, rawEntry({ name: 'pax', type: 'x', contents: paxRecord('path', 'a'), padWith: 1 }), rawEntry({ name: 'x' }), end]),
      corrupt(/not zero/),
    ),
  );
  await t.test('a checksum', (t) => refusedAs(t, Buffer.concat([manifestEntry, rawEntry({ name: 'x', after: { 0: 'y' } }), end]), corrupt(/checksum/)));
  const whole = compress(small);
  const raw: Record<string, Buffer> = {
    'zstd cut short': whole.subarray(0, -5),
    'zstd with a flipped bit': Buffer.from(whole).fill((whole[20] ?? 0) ^ 1, 20, 21),
    'zstd checksum': Buffer.from(whole).fill((whole.at(-1) ?? 0) ^ 1, whole.length - 1),
    'bytes after the frame': Buffer.concat([whole, Buffer.from('more')]),
    'a second frame': Buffer.concat([whole, compress(Buffer.from('more'))]),
    'not zstd': Buffer.from('PK\u0003\u0004 something else entirely'),
    empty: Buffer.alloc(0),
  };
  for (const [name, compressed] of Object.entries(raw)) {
    await t.test(name, async (t) => {
      const { state, result } = await attempt(t, compressed, releaseOf(compressed, smallCounts));
      await t.rejects(result, { code: 'ARCHIVE_CORRUPT' });
      t.same(leftIn(state), []);
    });
  }
});

t.test('a manifest that is not valid, or not what the record says, ends it with its path', async (t) => {
  const of = (text: string) => Buffer.concat([rawEntry({ name: 'manifest.json', contents: text }), end]);
  const cases: readonly [string, RegExp][] = [
    ['{', /at \/: is not JSON/],
    ['[]', /at \//],
    [JSON.stringify({ ...manifest, healthPath: 'no-slash' }), /at \/healthPath/],
    [JSON.stringify({ ...manifest, app: 'other' }), /at \/app: is other, the record says shop/],
    [JSON.stringify({ ...manifest, python: '3.9' }), /at \/python: is 3\.9, the record says 3\.13/],
    [JSON.stringify({ ...manifest, platform: 'win32' }), /at \/platform: is win32/],
  ];
  for (const [text, message] of cases) {
    await t.test(String(message), (t) =>
      refusedAs(t, of(text), { code: 'MANIFEST_INVALID', isTransient: false, message }, { files: 1, unpackedBytes: Buffer.byteLength(text) }),
    );
  }
});

t.test('stopped on the way, it leaves nothing', async (t) => {
  const stop = new AbortController();
  const compressed = compress(Buffer.concat([manifestEntry, rawEntry({ name: 'big', contents: randomBytes(9_000_000) }), end]));
  const { state, result } = await attempt(t, compressed, releaseOf(compressed), stop.signal);
  const reason = new Error('told to stop');
  setImmediate(() => stop.abort(reason));
  await t.rejects(result, reason);
  t.same(leftIn(state), []);
});

t.test('a state folder that cannot be written is named', async (t) => {
  const compressed = compress(small);
  const release = releaseOf(compressed, smallCounts);
  const state = t.testdir({ releases: 'a file' });
  await t.rejects(unpack({ path: join(state, 'releases') } as never, release, state, signal), { code: 'STATE_UNWRITABLE', message: /ENOTDIR/ });
});

t.test('F17: property: any bytes give a tree or one Failure about the archive, and nothing is left behind', async (t) => {
  const known = ['ARCHIVE_REFUSED', 'ARCHIVE_CORRUPT', 'ARCHIVE_TOO_LARGE', 'ARCHIVE_TRUNCATED', 'MANIFEST_INVALID'];
  const state = t.testdir();
  const some = [
    manifestEntry,
    rawFolder('app'),
    rawFolder('lib'),
    rawEntry({ name: 'app/a', contents: 'a' }),
    rawExtension(paxRecord('path', 'lib/b')),
    rawEntry({ name: 'x', contents: 'b'.repeat(600) }),
    end,
  ];
  const pieces = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...some) },
    fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes)),
  );
  const archives = fc.oneof(
    fc.constant(Buffer.concat(some)),
    fc.array(pieces, { maxLength: 9 }).map((all) => Buffer.concat([manifestEntry, ...all])),
  );
  const damage = fc.array(fc.record({ at: fc.nat(6000), byte: fc.nat(255) }), { maxLength: 3 });
  const damaged = (bytes: Buffer, changes: readonly { at: number; byte: number }[]) => {
    const copy = Buffer.from(bytes);
    for (const { at, byte } of changes) if (at < copy.length) copy[at] = byte;
    return copy;
  };
  let trees = 0;
  const counts = fc.constantFrom({}, { files: 3, unpackedBytes: manifestText.length + 601 });
  await fc.assert(
    fc.asyncProperty(archives, damage, fc.oneof(fc.constant([]), damage), counts, async (archive, inside, outside, expected) => {
      const compressed = damaged(zstdCompressSync(damaged(archive, inside)), outside);
      const release = releaseOf(compressed, expected);
      try {
        const { path } = await unpack(downloaded(state, release, compressed), release, state, signal);
        trees++;
        return existsSync(join(path, 'manifest.json')) && leftIn(state).every((name) => !name.endsWith('.partial'));
      } catch (thrown) {
        if (!(thrown instanceof Failure) || !known.includes(thrown.code)) throw thrown;
        return !leftIn(state).some((name) => name.startsWith(release.artifact.sha256));
      }
    }),
    { numRuns: 250 },
  );
  t.same(openIn(state), []);
  t.ok(trees > 0, `${trees} of 250 were whole`);
});

const program = new URL('../../support/archive-unpack.ts', import.meta.url).pathname;
const run = promisify(execFile);

/** Coverage is no part of a boot's memory. */
const plain = { NODE_V8_COVERAGE: '' };

t.test('the memory of a boot does not grow with the artifact: under 150 MB for 300 MB', async (t) => {
  const args = [program, 'large', t.testdir(), '300'];
  await run(process.execPath, [...args, 'make'], { env: { ...process.env, ...plain } });
  const { stdout } = await run(process.execPath, [...args, 'unpack'], { env: { ...process.env, ...plain } });
  const { peakMb, files } = JSON.parse(stdout);
  t.equal(files, 4);
  t.ok(peakMb < 150, `peak ${peakMb} MB`);
});
