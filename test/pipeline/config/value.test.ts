import fc from 'fast-check';
import t from 'tap';
import { configValue, valueLimitBytes } from '../../../pipeline/config/value.ts';

const problem = (bytes: Uint8Array | string) => {
  const checked = configValue(Buffer.from(bytes));
  return 'problem' in checked ? checked.problem : undefined;
};

t.test('F49: what Parameter Store or an environment cannot carry is refused, without the value', async (t) => {
  t.match(problem(''), /empty/);
  t.match(problem('a\0b'), /NUL/);
  t.match(problem(Buffer.from([0x61, 0xff])), /UTF-8/);
  t.match(problem(Buffer.from([0xed, 0xa0, 0x80])), /UTF-8/, 'a surrogate');
  for (const point of [0xfdd0, 0xfdef, 0xfffe, 0xffff, 0x1fffe, 0x10ffff]) t.match(problem(String.fromCodePoint(point)), /non-character/, point.toString(16));
  t.match(problem('x {{ssm:name}}'), /\{\{…\}\}/);
  t.match(problem('{{\n}}'), /\{\{…\}\}/);
  t.match(problem('x'.repeat(valueLimitBytes + 1)), 'more than 8192 bytes');
  t.match(problem('é'.repeat(valueLimitBytes / 2 + 1)), 'more than 8192 bytes');
});

t.test('F49: everything else is taken byte by byte', async (t) => {
  for (const value of ['a\n', ' a ', '"$x`\\', '\ufeffx', '\r\n\t', '{{', '}}{{', '😀', 'x'.repeat(valueLimitBytes)])
    t.same(configValue(Buffer.from(value)), { value });
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 2000 }), (value) => {
      const checked = configValue(Buffer.from(value));
      return 'problem' in checked || checked.value === value;
    }),
  );
});
