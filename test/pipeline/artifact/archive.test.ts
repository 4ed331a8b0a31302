import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { archiveChunks, entryHeader, writeArchive } from '../../../pipeline/artifact/archive.ts';
import type { TreeEntry } from '../../../pipeline/artifact/tree.ts';
import { temporaryFolder } from '../../support/pipeline-app.ts';

const file = (path: string, content: Uint8Array, executable = false): TreeEntry => ({
  kind: 'file',
  path,
  executable,
  sizeBytes: content.length,
  bytes: content,
});
const field = (block: Buffer, from: number, length: number) => block.toString('latin1', from, from + length);

t.test('a header holds nothing of the machine', async (t) => {
  const block = entryHeader(file('app/run.sh', Buffer.from('hi'), true));
  t.equal(block.length, 512);
  t.equal(field(block, 0, 11), 'app/run.sh\0');
  t.equal(field(block, 100, 48), '0000755\x000000000\x000000000\x0000000000002\x0000000000000\x00', 'mode, owners, size, time');
  t.equal(field(block, 156, 1), '0');
  t.equal(field(block, 257, 8), 'ustar\x0000');
  t.equal(field(block, 265, 64), '\0'.repeat(64), 'no user, no group name');
  const sum = Number.parseInt(field(block, 148, 6), 8);
  const blanked = Buffer.from(block).fill(' ', 148, 156);
  t.equal(
    sum,
    blanked.reduce((total, byte) => total + byte, 0),
  );
});

t.test('a folder is 0755 and ends with a slash', async (t) => {
  const block = entryHeader({ kind: 'folder', path: 'app' });
  t.equal(field(block, 0, 5), 'app/\0');
  t.equal(field(block, 100, 7), '0000755');
  t.equal(field(block, 156, 1), '5');
});

t.test('a pax header comes only where ustar has no room', async (t) => {
  const blocks = (path: string, sizeBytes = 0) => entryHeader({ kind: 'file', path, executable: false, sizeBytes, bytes: Buffer.alloc(0) }).length / 512;
  t.equal(blocks('a'.repeat(100)), 1);
  t.equal(blocks('a'.repeat(101)), 3, 'no slash to split at');
  t.equal(blocks(`${'p'.repeat(155)}/${'n'.repeat(100)}`), 1);
  t.equal(blocks(`${'p'.repeat(156)}/${'n'.repeat(100)}`), 3);
  t.equal(blocks(`${'p'.repeat(100)}/${'q'.repeat(60)}/${'n'.repeat(30)}`), 1, 'split before the last slash');
  t.equal(blocks('a', 8 ** 11 - 1), 1);
  t.equal(blocks('a', 8 ** 11), 3);
  t.match(
    entryHeader({ kind: 'file', path: 'a', executable: false, sizeBytes: 8 ** 11, bytes: Buffer.alloc(0) }).toString('latin1', 512),
    /^19 size=8589934592\n\0/,
  );
});

t.test('a pax record counts its own length, also where a digit is added', async (t) => {
  for (let length = 101; length < 1100; length++) {
    const body = entryHeader(file('é'.repeat(length), Buffer.alloc(0))).toString('utf8', 512);
    const [record = '', digits = ''] = /^([0-9]+) path=[^\n]*\n/.exec(body) ?? [];
    if (Buffer.byteLength(record) !== Number(digits)) return t.fail(`wrong at ${length}`);
  }
});

t.test('GNU tar reads every archive as it was meant', async (_t) => {
  const segment = fc.stringMatching(/^[a-zé0-9 ._-]{1,60}$/).filter((text) => !/^\.{1,2}$/.test(text));
  const entry = fc.record({
    path: fc.array(segment, { minLength: 1, maxLength: 9 }).map((parts) => parts.join('/')),
    size: fc.nat(1500),
    executable: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.uniqueArray(entry, { selector: ({ path }) => path, maxLength: 12 }), (given) => {
      const entries = given.map(({ path, size, executable }) => file(path, Buffer.alloc(size, 7), executable));
      const archive = Buffer.concat([...archiveChunks(entries)]);
      const listed = execFileSync('tar', ['--quoting-style=literal', '--numeric-owner', '--full-time', '--utc', '-tvf', '-'], {
        input: archive,
        encoding: 'utf8',
        env: { LC_ALL: 'C.UTF-8' },
      });
      const expected = given.map(
        ({ path, size, executable }) =>
          `-rw${executable ? 'x' : '-'}r-${executable ? 'x' : '-'}r-${executable ? 'x' : '-'} 0/0 ${size} 1970-01-01 00:00:00 ${path}`,
      );
      const lines = listed
        .split('\n')
        .slice(0, -1)
        .map((line) => line.replace(/ +(\d+ 1970)/, ' $1'));
      return JSON.stringify(lines) === JSON.stringify(expected) && archive.length % 512 === 0;
    }),
    { numRuns: 40 },
  );
});

t.test('it ends with two zero blocks and not a byte more', async (t) => {
  const archive = Buffer.concat([...archiveChunks([file('a', Buffer.alloc(1))])]);
  t.equal(archive.length, 4 * 512);
  t.same(archive.subarray(1024), Buffer.alloc(1024));
  t.equal(Buffer.concat([...archiveChunks([])]).length, 1024);
});

t.test('chunks are cut by position alone, whatever the sizes of the files', async (t) => {
  const chunks = [...archiveChunks([file('a', Buffer.alloc(1_500_000, 1)), file('b', Buffer.alloc(3, 2)), file('c', Buffer.alloc(2_000_000, 3))])];
  t.ok(chunks.slice(0, -1).every((chunk) => chunk.length === 1 << 20));
  t.equal(chunks.length, 4);
});

t.test('written, it is one zstd frame with a checksum, and its digest is that of the file', async (t) => {
  const path = join(temporaryFolder(t), 'a.tar.zst');
  const entries = [file('a', Buffer.from('content')), file('b', Buffer.alloc(3_000_000, 'x'))];
  const { sha256, sizeBytes } = await writeArchive(entries, path, new AbortController().signal);
  const bytes = readFileSync(path);
  t.equal(sizeBytes, bytes.length);
  t.equal(sha256, (await import('node:crypto')).createHash('sha256').update(bytes).digest('hex'));
  t.equal(bytes.readUInt32LE(0), 0xfd2fb528, 'zstd');
  t.ok((bytes[4] ?? 0) & 0b100, 'the frame has a checksum');
  t.same(zstdDecompressSync(bytes), Buffer.concat([...archiveChunks(entries)]));
});
