import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { imageFolder } from './folders.ts';
import { keyOf, stored, storedPath } from './stored.ts';

const kind = `probe${process.pid}`;
const names = () =>
  readdirSync(imageFolder)
    .filter((name) => name.startsWith(`${kind}-`))
    .sort();
t.teardown(() => execFileSync('sh', ['-c', `rm -rf '${imageFolder}/${kind}'*`]));

const module = new URL('stored.ts', import.meta.url).href;
/** Another process that makes the same, and says when it has begun. */
const other = (key: string, work: string) =>
  spawn(
    process.execPath,
    ['--input-type=module', '--eval', `import { stored } from '${module}'; await stored('${kind}', '${key}', async (folder) => { ${work} });`],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );

t.test('what is stored is made once, also by two processes at once', async (t) => {
  const work = `process.stdout.write('made'); (await import('node:fs')).writeFileSync(folder + '/file', 'whole');`;
  const printed = await Promise.all([other('once', work), other('once', work)].map((child) => text(child.stdout)));
  t.equal(printed.join(''), 'made');
  const path = await stored(kind, 'once', async () => void t.fail('it is there'));
  t.equal(readFileSync(join(path, 'file'), 'utf8'), 'whole');
});

t.test('one that was cut off does not count, and is made from nothing', async (t) => {
  const cut = other(
    'cut',
    `(await import('node:fs')).writeFileSync(folder + '/half', ''); process.stdout.write('half'); await new Promise((resolve) => setTimeout(resolve, 600_000));`,
  );
  await once(cut.stdout, 'data');
  t.notOk(existsSync(storedPath(kind, 'cut')));
  cut.kill('SIGKILL');
  await once(cut, 'close');
  const path = await stored(kind, 'cut', async (folder) => {
    t.same(readdirSync(folder), []);
    writeFileSync(join(folder, 'file'), 'whole');
  });
  t.same(readdirSync(path), ['file']);
  await t.rejects(
    stored(kind, 'failing', async () => {
      throw new Error('no');
    }),
    /no/,
  );
  t.notOk(existsSync(storedPath(kind, 'failing')));
});

t.test('what nobody used for two hours makes room for the next; what is in use, and the newest, stay', async (t) => {
  const make = (key: string, usedMinutesAgo: number) =>
    stored(kind, key, async () => {}).then((path) => utimesSync(path, new Date(), new Date(Date.now() - usedMinutesAgo * 60_000)));
  for (const name of names()) rmSync(join(imageFolder, name), { recursive: true });
  await make('old', 180);
  await make('newest', 150);
  await stored(kind, 'next', async () => {});
  t.same(names(), [`${kind}-newest`, `${kind}-next`]);
  await stored(kind, 'another', async () => {});
  t.same(names(), [`${kind}-another`, `${kind}-next`], 'next was used just now');
});

t.test('a key names all it is made of', async (t) => {
  const key = keyOf(['a'], ['test/image/guest/stored.ts']);
  t.equal(keyOf(['a'], ['test/image/guest/stored.ts']), key);
  t.not(keyOf(['b'], ['test/image/guest/stored.ts']), key);
  t.not(keyOf(['a'], ['test/image/guest/stored.*']), key);
});
