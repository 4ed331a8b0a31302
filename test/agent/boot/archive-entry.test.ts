import { posix } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { archiveEntries, type Verdict } from '../../../agent/boot/archive-entry.ts';
import { pathProblem } from '../../../contract/artifact-path.ts';
import { entryHeader } from '../../../pipeline/artifact/archive.ts';
import { manifestEntry, paxRecord, type RawEntry, rawEntry, rawExtension, rawFolder } from '../../support/archive-bytes.ts';

/** The verdict on the last of these headers; those before it are accepted. */
function judge(...blocks: readonly Buffer[]): Verdict {
  const entries = archiveEntries();
  let last: Verdict = { verdict: 'end' };
  for (const block of [manifestEntry, ...blocks]) {
    last = entries.header(block.subarray(0, 512));
    if (last.verdict === 'extension') last = entries.extend(block.subarray(512, 512 + last.sizeBytes)) ?? last;
  }
  return last;
}
const judgeFile = (raw: RawEntry, ...before: readonly Buffer[]) => judge(...before, rawEntry(raw));
const refused = (reason: RegExp) => ({ verdict: 'refuse', reason });

t.test('accepts files, folders and both modes', async (t) => {
  t.same(judgeFile({ name: 'a.py', contents: 'x' }), { verdict: 'accept', entry: { kind: 'file', path: 'a.py', sizeBytes: 1, executable: false } });
  t.match(judgeFile({ name: 'a', mode: 0o755 }), { verdict: 'accept', entry: { executable: true } });
  t.same(judge(rawFolder('lib')), { verdict: 'accept', entry: { kind: 'folder', path: 'lib', sizeBytes: 0, executable: false } });
  t.match(judgeFile({ name: 'ü/ß.txt', prefix: 'lib' }, rawFolder('lib'), rawFolder('lib/ü')), { verdict: 'accept', entry: { path: 'lib/ü/ß.txt' } });
  t.match(judge(Buffer.alloc(512)), { verdict: 'end' });
});

t.test('F11: names that lead out of the tree, or hide what they are, are refused', async (t) => {
  const inLib = rawFolder('lib');
  for (const name of ['../x', 'lib/../x', 'lib/../../x', '..', '.', './x', 'lib/./x', 'lib//x', 'lib/..'])
    t.match(judgeFile({ name }, inLib), refused(/segment/), name);
  for (const name of ['/etc/passwd', '/']) t.match(judgeFile({ name }), refused(/absolute/), name);
  for (const name of ['lib\\x', 'a\nb', 'a\u0085b', 'a\u001b[2Jb']) t.match(judgeFile({ name }), refused(/control character/), name);
  t.match(judgeFile({ name: 'a\0../../x' }), refused(/not UTF-8 text/));
  t.match(judgeFile({ name: Buffer.from([0x61, 0xff]) }), refused(/not UTF-8 text/));
  t.match(judgeFile({ name: Buffer.from([0xc0, 0xaf, 0x61]) }), refused(/not UTF-8 text/), 'an over-long slash');
  t.match(judgeFile({ name: 'x', prefix: '../..' }), refused(/segment/), 'by the prefix field');
  t.match(judgeFile({ name: 'x' }, rawExtension(paxRecord('path', '../../x'))), refused(/segment/), 'by an extended header');
  t.match(judgeFile({ name: 'x' }, rawExtension(paxRecord('path', '/x'))), refused(/absolute/));
  t.match(judgeFile({ name: '' }), refused(/empty/));
  t.match(judgeFile({ name: '/', type: '5', mode: 0o755 }), refused(/empty/));
  t.match(judgeFile({ name: 'x/' }, rawFolder('x')), refused(/segment/), 'a file that ends with a slash');
  t.match(judgeFile({ name: 'x', type: '5', mode: 0o755 }), refused(/does not end with/));
});

t.test('F11: names that belong to the agent, or lie in no folder of the archive, are refused', async (t) => {
  for (const name of ['pyvenv.cfg', 'PyVenv.cfg', 'bin']) t.match(judgeFile({ name }), refused(/kept for the agent/), name);
  t.match(judge(rawFolder('bin')), refused(/kept for the agent/));
  t.match(judgeFile({ name: 'app/x' }), refused(/does not follow a folder/));
  t.match(judgeFile({ name: 'app/x' }, rawEntry({ name: 'app' })), refused(/does not follow a folder/), 'a file used as a folder');
  t.match(judgeFile({ name: 'bin/x' }, rawFolder('lib')), refused(/kept for the agent/));
});

t.test('F12 F13 F14: links, devices, FIFOs, and every other type are refused', async (t) => {
  t.match(judgeFile({ name: 'x', type: '2', link: '/etc' }), refused(/symbolic link/));
  t.match(judgeFile({ name: 'x', type: '1', link: '/etc/shadow' }), refused(/hard link/));
  for (const type of ['3', '4']) t.match(judgeFile({ name: 'x', type }), refused(/device/));
  t.match(judgeFile({ name: 'x', type: '6' }), refused(/FIFO/));
  for (const type of ['7', 'L', 'K', 'S', 'g', 'D', 'V', 'M', 'X', '\0', ' '])
    t.match(judgeFile({ name: 'x', type }), refused(/of type/), JSON.stringify(type));
  t.match(judgeFile({ name: 'x', link: 'y' }), refused(/has a link/), 'a link name on a regular file');
});

t.test('F14: set-id, sticky and other modes, owners, times and devices are refused', async (t) => {
  for (const mode of [0o4755, 0o2755, 0o1755, 0o6644, 0o777, 0o666, 0o600, 0]) t.match(judgeFile({ name: 'x', mode }), refused(/mode/), mode.toString(8));
  t.match(judgeFile({ name: 'x/', type: '5', mode: 0o644 }), refused(/mode/));
  for (const at of [108, 116, 136, 329, 337]) t.match(judgeFile({ name: 'x', over: { [at]: '0000001' } }), refused(/owner, time or device/), `field at ${at}`);
  for (const at of [265, 297, 500]) t.match(judgeFile({ name: 'x', over: { [at]: 'root' } }), refused(/fields set/), `field at ${at}`);
});

t.test('numbers are octal digits and nothing else', async (t) => {
  const base256 = Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  const sizes = [base256, '           1', '0000000000 1', '-0000000001', '00000000008\0', '000000000001', '0x000000001\0', Buffer.alloc(12)];
  for (const size of sizes) t.match(judgeFile({ name: 'x', over: { 124: size } }), refused(/octal/), JSON.stringify(String(size)));
  t.match(judgeFile({ name: 'x/', type: '5', mode: 0o755, sizeBytes: 1 }), refused(/folder with contents/));
});

t.test('what is no header of ours is corrupt', async (t) => {
  t.match(judgeFile({ name: 'x', after: { 0: 'y' } }), { verdict: 'corrupt', detail: /checksum/ });
  t.match(judgeFile({ name: 'x', after: { 148: '      ' } }), { verdict: 'corrupt', detail: /checksum/ });
  for (const magic of ['ustar  \0', 'ustar\x0001', '\0\0\0\0\0\0\0\0'])
    t.match(judgeFile({ name: 'x', over: { 257: magic } }), { verdict: 'corrupt', detail: /ustar/ });
});

t.test('extended headers hold path and size, once each', async (t) => {
  const long = `${'a'.repeat(200)}/${'b'.repeat(200)}`;
  const folder = [rawExtension(paxRecord('path', `${'a'.repeat(200)}/`)), rawEntry({ name: 'long', type: '5', mode: 0o755 })];
  const both = rawExtension(paxRecord('path', long) + paxRecord('size', '8589934592'));
  t.match(judgeFile({ name: 'long' }, ...folder, both), { verdict: 'accept', entry: { path: long, sizeBytes: 8589934592 } });
  for (const key of ['linkpath', 'mtime', 'GNU.sparse.name', 'hdrcharset', 'uid', 'Path', ''])
    t.match(judge(rawExtension(paxRecord(key, '1'))), refused(/neither/), key);
  const wrong = [
    '',
    '8 path=a\n',
    '11 path=a\n',
    '010 path=a\n',
    '0 path=a\n',
    '10path=aa\n',
    '10 path=a\n ',
    '99999 path=a\n',
    ' 10 path=a\n',
    '10 path=aa',
    '-10 path=a\n',
  ];
  for (const records of wrong) t.match(judge(rawExtension(records)), refused(/record|has 0 bytes/), JSON.stringify(records));
  for (const size of ['-1', '1e3', '0x10', '01', '0', ' 1', '9'.repeat(17)]) t.match(judge(rawExtension(paxRecord('size', size))), refused(/number/), size);
  t.match(judge(rawExtension(paxRecord('path', 'a') + paxRecord('path', 'b'))), refused(/twice/));
  t.match(judge(rawExtension(paxRecord('path', 'a\0b'))), refused(/neither/));
  t.match(judge(rawExtension(Buffer.from([...Buffer.from('10 path='), 0xff, 0x0a]))), refused(/neither/));
  t.match(judge(rawExtension(paxRecord('path', 'a')), rawExtension(paxRecord('path', 'b'))), refused(/two extended/));
  t.match(judge(rawExtension(paxRecord('path', 'a')), Buffer.alloc(512)), { verdict: 'corrupt', detail: /no entry/ });
  t.match(judge(rawExtension(paxRecord('path', 'a'.repeat(3000)))), refused(/extended header has/));
  t.match(
    judge(rawExtension(paxRecord('path', 'a')), rawEntry({ name: 'x' }), rawEntry({ name: 'y' })),
    { verdict: 'accept', entry: { path: 'y' } },
    'it holds for one entry only',
  );
});

t.test('F15: paths too deep or too long are refused', async (t) => {
  const deep = Array.from({ length: 33 }, (_, depth) =>
    rawFolder(
      Array(depth + 1)
        .fill('d')
        .join('/'),
    ),
  );
  t.match(judge(...deep), refused(/32 folders deep/));
  t.match(judge(...deep.slice(0, -1)), { verdict: 'accept' });
  const name = (path: string) => judge(rawExtension(paxRecord('path', path)), rawEntry({ name: 'long' }));
  t.match(name('ü'.repeat(128)), refused(/over 255 bytes/));
  t.match(name('a'.repeat(255)), { verdict: 'accept' });
  t.match(name(Array(5).fill('a'.repeat(250)).join('/')), refused(/path is over 1024 bytes/));
});

t.test('F18: duplicates, and names that differ in case or Unicode form alone, are refused', async (t) => {
  const pairs = [
    ['a', 'a'],
    ['README', 'readme'],
    ['é', 'e\u0301'],
    ['straße', 'STRASSE'],
    ['ﬁle', 'file'],
    ['K', '\u212a'],
    ['ſ', 's'],
    ['x', 'Ｘ'],
  ];
  for (const [first = '', second = ''] of pairs) {
    t.match(judgeFile({ name: second }, rawEntry({ name: first })), refused(/was there before/), `${first} ${second}`);
    t.match(judgeFile({ name: second }, rawFolder(first)), refused(/was there before/), `${first}/ ${second}`);
  }
  t.match(judge(rawFolder('App'), rawFolder('app')), refused(/was there before/));
  t.match(judgeFile({ name: 'APP/x' }, rawFolder('app')), refused(/does not follow/));
  t.match(judgeFile({ name: 'manifest.json' }), refused(/was there before/));
});

t.test('the first entry is a manifest of at most 64 KB', async (t) => {
  const first = (raw: RawEntry) => archiveEntries().header(rawEntry(raw));
  for (const raw of [
    { name: 'app.py' },
    { name: 'Manifest.json' },
    { name: 'manifest.json/', type: '5', mode: 0o755 },
    { name: 'manifest.json', sizeBytes: 65_537 },
  ]) {
    t.match(first(raw), refused(/manifest\.json/), raw.name);
  }
  t.match(first({ name: 'manifest.json', sizeBytes: 65_536 }), { verdict: 'accept' });
});

t.test('names in a refusal are escaped and short', async (t) => {
  const { entry } = judgeFile({ name: '\u001b[31mred\u202e\n' }) as { entry: string };
  t.equal(entry, '\\u{1b}[31mred\\u{202e}\\u{a}');
  t.equal((judgeFile({ name: 'long' }, rawExtension(paxRecord('path', `../${'x'.repeat(900)}`))) as { entry: string }).entry.length, 120);
});

const segment = fc.oneof(fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }), fc.constantFrom('app', 'é', 'x'.repeat(200), 'ß'.repeat(90)));
const anyPath = fc.array(segment, { minLength: 1, maxLength: 12 }).map((segments) => segments.join('/'));
const isOurs = (path: string) => pathProblem(path) === undefined && !/^manifest.json(\/|$)/i.test(path.normalize('NFKC'));

t.test('property: whatever the writer writes is read back as it was', async () => {
  fc.assert(
    fc.property(
      anyPath.filter(isOurs),
      fc.boolean(),
      fc.oneof(fc.nat(), fc.constantFrom(0, 0o77777777777, 2 ** 33, 2 ** 49)),
      (path, executable, sizeBytes) => {
        const entries = archiveEntries();
        const feed = (bytes: Buffer): Verdict => {
          const verdict = entries.header(bytes.subarray(0, 512));
          if (verdict.verdict !== 'extension') return verdict;
          return entries.extend(bytes.subarray(512, 512 + verdict.sizeBytes)) ?? entries.header(bytes.subarray(-512));
        };
        feed(manifestEntry);
        const parents = path
          .split('/')
          .slice(0, -1)
          .map((_, index, all) => all.slice(0, index + 1).join('/'));
        // Two names that fold to one on the way down are not the writer's to make.
        for (const parent of parents) {
          const verdict = feed(entryHeader({ kind: 'folder', path: parent }));
          if (verdict.verdict !== 'accept' || verdict.entry.path !== parent) return false;
        }
        const verdict = feed(entryHeader({ kind: 'file', path, executable, sizeBytes, bytes: new Uint8Array() }));
        return verdict.verdict === 'accept' && verdict.entry.path === path && verdict.entry.sizeBytes === sizeBytes && verdict.entry.executable === executable;
      },
    ),
  );
});

t.test('property: no header throws, and what is accepted stays inside', async () => {
  const hostile = fc.oneof(fc.string({ unit: 'binary', maxLength: 100 }), fc.stringMatching(/^[./a\\\0]{0,20}$/), anyPath);
  const raw = fc.record({
    name: hostile,
    prefix: hostile.map((text) => text.slice(0, 40)),
    type: fc.constantFrom('0', '5', 'x', '2', '\0'),
    mode: fc.constantFrom(0o644, 0o755, 0o4755),
    over: fc.oneof(
      fc.constant({}),
      fc.dictionary(
        fc.nat(511).map(String),
        fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
      ),
    ),
  });
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          raw.map(rawEntry),
          hostile.map((text) => rawExtension(paxRecord('path', text.slice(0, 200)))),
          fc.uint8Array({ minLength: 512, maxLength: 512 }).map((bytes) => Buffer.from(bytes)),
        ),
        { maxLength: 5 },
      ),
      (blocks) => {
        const entries = archiveEntries();
        for (const block of [manifestEntry, rawFolder('a'), ...blocks]) {
          const verdict = entries.header(block.subarray(0, 512));
          if (verdict.verdict === 'extension') entries.extend(block.subarray(512, 512 + verdict.sizeBytes));
          if (verdict.verdict !== 'accept') continue;
          const { path } = verdict.entry;
          if (posix.join('/tree', path) !== `/tree/${path}` || path.startsWith('..')) return false;
        }
        return true;
      },
    ),
    { numRuns: 500 },
  );
});
