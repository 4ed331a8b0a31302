import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { readLines } from '../../../agent/app/lines.ts';
import { createScrub, type Scrub } from '../../../agent/reporting/scrub.ts';

const linesOf = (chunks: (string | Buffer)[], scrub?: Scrub) => {
  const stream = new PassThrough();
  const lines: string[] = [];
  readLines(stream, (line) => lines.push(line), scrub === undefined ? {} : { scrub });
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  return new Promise<string[]>((resolve) => stream.on('end', () => resolve(lines)));
};

t.test('lines come whole, however they were cut, and a last one without newline too', async (t) => {
  t.same(await linesOf(['on', 'e\ntw', 'o\n', '\n', 'three']), ['one', 'two', '', 'three']);
  t.same(await linesOf([Buffer.from('é\n').subarray(0, 1), Buffer.from('é\n').subarray(1)]), ['é']);
});

t.test('bytes that are not UTF-8 and a stream without newlines cost no memory and no crash', async (t) => {
  const lines = await linesOf([Buffer.from([0xff, 0xfe, 0x0a]), 'x'.repeat(20_000), `${'y'.repeat(9_000)}\n`]);
  t.equal(lines[0], '\u{FFFD}\u{FFFD}');
  t.same(
    lines.slice(1).map((line) => line.length),
    [8192, 8192, 8192, 4424],
  );
});

t.test('other work gets its turn between two chunks', async (t) => {
  const stream = new PassThrough();
  const said: string[] = [];
  readLines(stream, (line) => said.push(line));
  setImmediate(() => setImmediate(() => said.push('other work')));
  for (let left = 10; left > 0; left--) stream.write('line\n');
  stream.end();
  await new Promise((resolve) => stream.on('end', resolve));
  const turn = said.indexOf('other work');
  t.ok(turn > 0 && turn < 5, said.join());
});

t.test('F48: a value in a line that is cut into pieces is found, wherever a piece or a chunk ends', async (t) => {
  const secret = `s3cret-${'0123456789'.repeat(30)}-end`;
  const scrub = createScrub(new Map([['KEY', secret]]));
  const inside = fc.integer({ min: 0, max: secret.length });
  // A piece may end at one place of the value, a chunk at another.
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 3 }), inside, inside, async (pieces, pieceEnd, chunkEnd) => {
    const text = `${'x'.repeat(pieces * 8192 - pieceEnd)}${secret}${'y'.repeat(9_000)}`;
    const cut = pieces * 8192 - pieceEnd + chunkEnd;
    const lines = await linesOf([text.slice(0, cut), text.slice(cut)], scrub);
    t.equal(lines.join(''), text.replace(secret, '[KEY]'));
    t.ok(lines.every((line) => line.length > 0 && line.length <= 8192));
  });
  await fc.assert(property, { numRuns: 300 });
  t.same(await linesOf([secret.repeat(100)], scrub), ['[KEY]'.repeat(100)]);
  t.same(await linesOf([`last ${secret}`], scrub), ['last [KEY]']);
});
