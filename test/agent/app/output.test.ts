import { PassThrough } from 'node:stream';
import t from 'tap';
import { readLines } from '../../../agent/app/output.ts';

const linesOf = (...chunks: (string | Buffer)[]) => {
  const stream = new PassThrough();
  const lines: string[] = [];
  readLines(stream, (line) => lines.push(line));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  return new Promise<string[]>((resolve) => stream.on('end', () => resolve(lines)));
};

t.test('lines come whole, however they were cut, and a last one without newline too', async (t) => {
  t.same(await linesOf('on', 'e\ntw', 'o\n', 'three'), ['one', 'two', 'three']);
  t.same(await linesOf(Buffer.from('é\n').subarray(0, 1), Buffer.from('é\n').subarray(1)), ['é']);
});

t.test('bytes that are not UTF-8 and a stream without newlines cost no memory and no crash', async (t) => {
  const lines = await linesOf(Buffer.from([0xff, 0xfe, 0x0a]), 'x'.repeat(20_000));
  t.equal(lines[0], '\u{FFFD}\u{FFFD}');
  t.same(
    lines.slice(1).map((line) => line.length),
    [8192, 8192, 3616],
  );
});
