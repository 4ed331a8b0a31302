import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { environmentFile, parseEnvironmentFile, undeliverable } from '../../../agent/app/environment.ts';

const run = promisify(execFile);
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: fc.constantFrom('"', "'", '\\', '$', '`', '\n', '\r', '\t', ' ', '#', ';', '=', '{', '}', '%', '\x1b', 'é', '💥'), maxLength: 60 }),
  fc.string({ unit: 'binary', minLength: 4_000, maxLength: 8_192 }),
);
const value = anyText.filter((text) => undeliverable('NAME', text) === undefined);
const variables = fc.dictionary(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,20}$/), value, { maxKeys: 8 });

/** systemd's parser of EnvironmentFile, the parts that a text without single quotes and comments outside of values can reach (src/basic/env-file.c, v257). */
function systemdReads(text: string): Record<string, string> {
  const read: Record<string, string> = {};
  let state: 'pre-key' | 'key' | 'pre-value' | 'quoted' | 'escape' = 'pre-key';
  let [key, held] = ['', ''];
  for (const c of text) {
    if (state === 'pre-key') {
      if (' \t\n\r'.includes(c)) continue;
      if ('#;'.includes(c)) throw new Error('a comment');
      [state, key] = ['key', c];
    } else if (state === 'key') {
      if ('\n\r'.includes(c)) throw new Error('a key without a value');
      if (c === '=') [state, held] = ['pre-value', ''];
      else key += c;
    } else if (state === 'pre-value') {
      if ('\n\r'.includes(c)) [state, read[key]] = ['pre-key', held];
      else if (c === '"') state = 'quoted';
      else throw new Error('a bare value');
    } else if (state === 'quoted') {
      if (c === '"') state = 'pre-value';
      else if (c === '\\') state = 'escape';
      else held += c;
    } else {
      state = 'quoted';
      if ('"\\`$'.includes(c)) held += c;
      else if (c !== '\n') held += `\\${c}`;
    }
  }
  if (state !== 'pre-key') throw new Error('an unfinished line');
  return read;
}

t.test('F49: every deliverable value comes back byte-exact, from our parser and from systemd’s', async (t) => {
  fc.assert(
    fc.property(variables, (given) => {
      const text = environmentFile(Object.entries(given));
      assert.deepEqual(Object.fromEntries(parseEnvironmentFile(text)), { ...given });
      assert.deepEqual(systemdReads(text), { ...given });
    }),
    { numRuns: 300 },
  );
  t.pass('300 environments');
});

t.test('F49: a real child gets the bytes: newlines, quotes, $, unicode, 8 KB and the largest value there can be', async (t) => {
  const given: Record<string, string> = {
    EMPTY: '',
    NEWLINES: '\n\r\n a\n\n',
    QUOTES: `"it's" \\" \\n \\\\`,
    DOLLAR: `$HOME $\{HOME} $(id) \`id\` $$`,
    TRAILING: 'ends with \\',
    UNICODE: 'ß 語 🙂 e\u0301 \u200f \ufeff \u0085 \u2028',
    CONTROL: Array.from({ length: 31 }, (_, i) => String.fromCharCode(i + 1)).join(''),
    KB8: 'é"\\$`\n'.repeat(1_171),
    LARGEST: 'x'.repeat(131_071 - 'LARGEST='.length),
    ...Object.fromEntries(fc.sample(value, 40).map((text, index) => [`ANY_${index}`, text])),
  };
  const program = 'process.stdout.write(Buffer.from(JSON.stringify(process.env)).toString("base64"))';
  const env = Object.fromEntries(parseEnvironmentFile(environmentFile(Object.entries(given))));
  const { stdout } = await run(process.execPath, ['-e', program], { env, maxBuffer: 1e8 });
  const got = JSON.parse(Buffer.from(stdout, 'base64').toString());
  t.strictSame(got, given);
});

t.test('F49: what no environment can carry is refused by name, never quoted', async (t) => {
  for (const [problem, bad] of [
    ['it holds a NUL character', 'hunter2\0'],
    ['it holds half of a surrogate pair', 'hunter2\ud800'],
    ['it holds half of a surrogate pair', '\udc00hunter2'],
    ['it holds a Unicode non-character', 'hunter2\uffff'],
    ['it holds a Unicode non-character', 'hunter2\ufdd0'],
    ['it holds a Unicode non-character', 'hunter2\u{1fffe}'],
    ['it holds a Unicode non-character', 'hunter2\u{10ffff}'],
    ['with its name it has 131072 bytes; 131071 are possible', `hunter2${'é'.repeat(65_529)}`],
  ] as const) {
    const refused = t.throws(
      () =>
        environmentFile([
          ['FINE', 'fine'],
          ['SECRET', bad],
        ]),
      { code: 'CONFIG_UNDELIVERABLE', isTransient: false },
    );
    t.equal((refused as Error).message, `config SECRET cannot be an environment variable: ${problem}`);
    t.notMatch(JSON.stringify(refused), /hunter2/);
  }
  for (const fine of ['\ufffd', '\ufdcf', '\ufdf0', '\u{1fffd}', '\u{20000}', '\u{10fffd}']) t.equal(undeliverable('NAME', fine), undefined);
});

t.test('F49: what is refused could not be delivered: the kernel takes one byte less', async (t) => {
  const spawnWith = async (bytes: number) => run('/bin/true', [], { env: { NAME: 'x'.repeat(bytes - 'NAME='.length) } });
  await t.resolves(spawnWith(131_071));
  await t.rejects(spawnWith(131_072), { code: 'E2BIG' });
});

t.test('only a text that pinion wrote is parsed', async (t) => {
  t.same(parseEnvironmentFile(''), new Map());
  for (const text of ['A=b\n', 'A="b"', 'A="b" \n', '# c\n', 'A="$HOME"\n', 'A="b\\n"\n', 'A="b"\nB', ' A="b"\n', '=""\n']) {
    t.throws(() => parseEnvironmentFile(text), { code: 'INTERNAL_ERROR' }, JSON.stringify(text));
  }
});
