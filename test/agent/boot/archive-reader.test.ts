import fc from 'fast-check';
import t from 'tap';
import { archiveReader } from '../../../agent/boot/archive-reader.ts';
import { end, manifestEntry, manifestText, paxRecord, rawEntry, rawExtension, rawFolder } from '../../support/archive-bytes.ts';

const long = `app/${'l'.repeat(200)}`;
const contents = 'x'.repeat(1300);
const archive = Buffer.concat([
  manifestEntry,
  rawFolder('app'),
  rawEntry({ name: 'app/empty' }),
  rawEntry({ name: 'app/block', contents: 'b'.repeat(512) }),
  rawExtension(paxRecord('path', long)),
  rawEntry({ name: 'long', contents }),
  end,
]);
const expected = { object: 's3://b/k', files: 4, unpackedBytes: manifestText.length + 512 + contents.length };

/** What the sink saw, contents joined. */
function read(chunks: readonly Uint8Array[]): readonly string[] {
  const saw: string[] = [];
  let bytes = '';
  const reader = archiveReader(expected, {
    folder: ({ path }) => saw.push(`folder ${path}`),
    file: ({ path, sizeBytes }) => saw.push(`file ${path} ${sizeBytes}`),
    contents: (part) => {
      bytes += Buffer.from(part).toString();
    },
    fileEnd: () => {
      saw.push(`end ${bytes}`);
      bytes = '';
    },
  });
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return saw;
}

const whole = [`file manifest.json ${manifestText.length}`, `end ${manifestText}`, 'folder app', 'file app/empty 0', 'end ', 'file app/block 512'];
const saw = [...whole, `end ${'b'.repeat(512)}`, `file ${long} 1300`, `end ${contents}`];

t.test('gives entries and contents in order', async (t) => {
  t.same(read([archive]), saw);
});

t.test('property: it does not matter where the stream is cut', async () => {
  fc.assert(
    fc.property(fc.array(fc.nat(archive.length), { maxLength: 12 }), (cuts) => {
      const edges = [0, ...cuts.toSorted((a, b) => a - b), archive.length];
      const chunks = edges.slice(1).map((edge, index) => archive.subarray(edges[index], edge));
      return JSON.stringify(read(chunks)) === JSON.stringify(saw);
    }),
  );
  read([...archive].map((byte) => Uint8Array.of(byte)));
});

t.test('nothing beyond the record reaches the sink', async (t) => {
  const none = { folder: () => t.fail('a folder'), contents: () => t.fail('contents'), fileEnd: () => t.fail('an end') };
  const reader = archiveReader({ ...expected, unpackedBytes: 1 }, { ...none, file: () => t.fail('a file') });
  t.throws(() => reader.push(archive), { code: 'ARCHIVE_TOO_LARGE' });
});
