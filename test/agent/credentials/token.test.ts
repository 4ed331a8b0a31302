import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { keepToken, tokenName } from '../../../agent/credentials/token.ts';

t.test('a token is made once, for owner and group whatever the umask, and kept', async (t) => {
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  const folder = t.testdir();
  const file = join(folder, tokenName);
  const token = keepToken(file);
  t.match(token, /^[0-9a-f]{64}$/);
  t.equal(readFileSync(file, 'utf8'), token, 'no line end');
  t.equal((statSync(file).mode & 0o777).toString(8), '640');
  t.equal(keepToken(file), token);
  t.same(readdirSync(folder), [tokenName]);
});

t.test('what is no token is replaced', async (t) => {
  const file = join(t.testdir(), tokenName);
  const token = keepToken(file);
  for (const text of ['', `${token}\n`, token.slice(1), token.toUpperCase(), 'z'.repeat(64), `${token}\0`]) {
    writeFileSync(file, text);
    const other = keepToken(file);
    t.match(other, /^[0-9a-f]{64}$/);
    t.not(other, token);
    t.equal(readFileSync(file, 'utf8'), other);
  }
});

t.test('STATE_UNWRITABLE names the file', async (t) => {
  const file = join(t.testdir(), 'gone', tokenName);
  t.throws(() => keepToken(file), { code: 'STATE_UNWRITABLE', message: `${file} cannot be written: ENOENT` });
  mkdirSync(file, { recursive: true });
  chmodSync(file, 0o700);
  writeFileSync(join(file, 'in-the-way'), '');
  t.throws(() => keepToken(file), { code: 'STATE_UNWRITABLE', message: new RegExp(`^${file} cannot be written: E`) });
});
