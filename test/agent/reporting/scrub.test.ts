import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import t from 'tap';
import { createScrub } from '../../../agent/reporting/scrub.ts';

t.test('F48: values become their names, the longest first; short ones and other text stay', async (t) => {
  const scrub = createScrub(
    new Map([
      ['KEY', 's3cret'],
      ['URL', 'postgres://u:s3cret@db'],
      ['MODE', 'debug'],
      ['REGEXP', '(^$.*+?)[a-z]{1}|\\b'],
    ]),
  );
  t.equal(scrub('at postgres://u:s3cret@db with s3cret, s3cret is debug'), 'at [URL] with [KEY], [KEY] is debug');
  t.equal(scrub('matches (^$.*+?)[a-z]{1}|\\b'), 'matches [REGEXP]');
  t.equal(createScrub(new Map())('nothing to hide'), 'nothing to hide');
});

t.test('F48: a value of several lines is found line by line, as output is read', async (t) => {
  const scrub = createScrub(new Map([['PEM', '-----BEGIN KEY-----\nMIIEvQIBADAN\r\n-----END KEY-----']]));
  t.equal(scrub('read MIIEvQIBADAN'), 'read [PEM]');
  t.equal(scrub('-----BEGIN KEY-----'), '[PEM]');
  t.equal(scrub('{"key":"-----BEGIN KEY-----\\nMIIEvQIBADAN\\r\\n-----END KEY-----"}'), '{"key":"[PEM]"}');
});

t.test('F48: in base64, wherever it begins', async (t) => {
  const scrub = createScrub(new Map([['PASSWORD', 'correct horse?~>']]));
  for (const user of ['', 'u', 'us', 'use', 'user:']) {
    for (const code of ['base64', 'base64url'] as const) {
      const text = scrub(`Authorization: Basic ${Buffer.from(`${user}correct horse?~>@host`).toString(code)}`);
      t.match(text, /^Authorization: Basic [\w-]{0,8}\[PASSWORD\][\w=-]{0,12}$/, text);
    }
  }
});

/** Every form in which Python itself writes a list of values. */
const program = `
import base64, json, sys, urllib.parse as url
def forms(value):
    data = value.encode()
    yield from (value, repr(value), ascii(value), repr(data), str({'KEY': value}))
    yield from (json.dumps(value), json.dumps(value, ensure_ascii=False))
    yield from (url.quote(value), url.quote(value, safe=''), url.quote_plus(value), url.urlencode({'key': value}))
    for before in (b'', b'a', b'ab', b'user:'):
        for after in (b'', b'z', b'zz'):
            yield from (base64.b64encode(before + data + after).decode(), base64.urlsafe_b64encode(before + data + after).decode())
sys.stdout.reconfigure(encoding='utf-8')
print(json.dumps([list(forms(value)) for value in json.load(sys.stdin)]))
`;

/** What of a form is the value's alone: without quotes, and of base64 what neighbours have no part in. */
const isHidden = (scrubbed: string) => /^[^[]{0,20}\[SECRET\][^[]{0,6}$/s.test(scrubbed);

t.test('F48: whatever the value and whatever form Python or Node gives it, none is left', async (t) => {
  const unit = fc.oneof(
    // What Python prints depends on the Unicode of its version: characters that every one of them knows, or knows not to print.
    fc.integer({ min: 1, max: 0x52f }).map((code) => String.fromCodePoint(code)),
    fc.integer({ min: 0x4e00, max: 0x9fa5 }).map((code) => String.fromCodePoint(code)),
    fc.constantFrom('"', "'", '\\', '/', '+', ' ', '%', '\t', '\r', '\n', '\u00e9', '\u00ad', '\u2028', '\u{1F600}', '~', '!', '(', '*'),
    fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 8 }),
  );
  // Names in brackets are what a test can find again; a value with brackets of its own would look the same.
  const value = fc
    .array(unit, { minLength: 3, maxLength: 12 })
    .map((units) => units.join('').replace(/[[\]]/g, '').toWellFormed())
    .filter((text) => text.length >= 6 && !text.includes('\0') && !/\p{Cn}/u.test(text));
  const values = fc.sample(value, 400);
  const inPython = JSON.parse(execFileSync('python3', ['-c', program], { input: JSON.stringify(values), maxBuffer: 1e8 }).toString()) as string[][];
  let seen = 0;
  for (const [at, secret] of values.entries()) {
    const scrub = createScrub(new Map([['SECRET', secret]]));
    const inNode = [JSON.stringify(secret), encodeURIComponent(secret)];
    for (const form of [...(inPython[at] ?? []), ...inNode]) {
      seen++;
      if (!isHidden(scrub(form))) t.fail(`${JSON.stringify(secret)} is left in ${form}: ${scrub(form)}`);
    }
  }
  t.ok(seen > 10_000, `${seen} forms`);
});

t.test('F48: a property: the value is in no text that held it, nor another value', async (t) => {
  const word = fc.string({ unit: fc.constantFrom(...'abc019:/@'), minLength: 6, maxLength: 12 });
  const property = fc.property(
    fc.uniqueArray(word, { minLength: 1, maxLength: 5 }),
    fc.array(fc.string({ maxLength: 9 }), { maxLength: 6 }),
    (secrets, words) => {
      const scrub = createScrub(new Map(secrets.map((secret, at) => [`N${at}`, secret])));
      const scrubbed = scrub(words.flatMap((text, at) => [text, secrets[at % secrets.length] ?? '']).join(''));
      for (const secret of secrets) t.notOk(scrubbed.includes(secret));
    },
  );
  fc.assert(property, { numRuns: 500 });
});
