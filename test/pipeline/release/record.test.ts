import t from 'tap';
import type { Sha256 } from '../../../contract/names.ts';
import type { ReleaseRecord } from '../../../contract/release.ts';
import { recordText } from '../../../pipeline/release/record.ts';

const record: ReleaseRecord = {
  note: '',
  createdBy: 'me',
  createdAt: '2026-01-02T03:04:05.000Z',
  commit: 'abc',
  minAgent: '0.1.0',
  platform: 'linux_x86_64',
  python: '3.13',
  config: { B: 2, A: 1 },
  artifact: { files: 1, unpackedBytes: 2, sizeBytes: 3, sha256: 'a'.repeat(64) as Sha256, versionId: 'v', key: 'k', bucket: 'bucket' },
  env: 'test',
  app: 'shop',
  schemaVersion: 1,
};

t.test('the bytes follow the schema, not the order in which a record was put together', async (t) => {
  const text = recordText(record);
  t.equal(
    text,
    `{"schemaVersion":1,"app":"shop","env":"test","artifact":{"bucket":"bucket","key":"k","versionId":"v","sha256":"${'a'.repeat(64)}","sizeBytes":3,"unpackedBytes":2,"files":1},"config":{"A":1,"B":2},"python":"3.13","platform":"linux_x86_64","minAgent":"0.1.0","commit":"abc","createdAt":"2026-01-02T03:04:05.000Z","createdBy":"me","note":""}`,
  );
});

t.test('no note makes a text that Parameter Store takes for a reference', async (t) => {
  for (const note of ['{{ssm:x}}', '{{{{', 'a {{b}} {{c}}']) {
    const text = recordText({ ...record, note });
    t.notMatch(text, /\{\{/);
    t.equal(JSON.parse(text).note, note);
  }
});

t.test('RECORD_TOO_LARGE over 8 KB', async (t) => {
  const config = Object.fromEntries(Array.from({ length: 70 }, (_, at) => [`N${'X'.repeat(115)}${at}`, 1]));
  t.throws(() => recordText({ ...record, config }), { code: 'RECORD_TOO_LARGE' });
});

t.test('a record that no agent would take is not written', async (t) => {
  t.throws(() => recordText({ ...record, commit: '' }), { code: 'INTERNAL_ERROR' });
});
