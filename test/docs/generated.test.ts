import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { causes } from '../../contract/causes.ts';
import { causesPage } from '../../docs/causes-page.ts';
import { pages } from '../../docs/pages.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(`${root}${file}`, 'utf8');

t.test('pages made of sources are up to date', async (t) => {
  for (const [name, page] of Object.entries(pages)) t.equal(read(`docs/${name}`), page(), `docs/${name} is old: run npm run docs`);
});

t.test('every cause has one heading, its sentence and its next step', async (t) => {
  const page = causesPage().replaceAll('`', '');
  const isThere = ([code, { says, next }]: [string, { says: string; next: string }]) =>
    page.split(`\n### ${code}\n`).length === 2 && page.includes(says.slice(1)) && page.includes(`Next step: ${next}.`);
  t.same(
    Object.entries(causes).filter((cause) => !isThere(cause)),
    [],
  );
});

t.test('every cause can be met: a source names it', async (t) => {
  const sources = globSync('{agent,pipeline,local}/**/*.{ts,mjs}', { cwd: root }).map(read).join('\n');
  t.same(
    Object.keys(causes).filter((code) => !sources.includes(`'${code}'`)),
    [],
    'use it or delete it from contract/causes.ts',
  );
});
