import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import description from '../../package.json' with { type: 'json' };
import { settingsSchema } from '../../pipeline/settings.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const pages = globSync('{*.md,docs/**/*.md,local/*.md,flask-app/*.md}', { cwd: root });
const withoutCode = (text: string) => text.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, '');

/** GitHub's anchor of a heading: lower case, punctuation gone, spaces to hyphens. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');

t.test('every link inside the project leads to a file and a heading that exist', async (t) => {
  t.ok(pages.length > 6);
  for (const page of pages) {
    for (const [, target = ''] of withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(root, file))) t.fail(`${page}: ${target} does not exist`);
      else if (anchor !== undefined && ![...read(file).matchAll(/^#+ (.+)$/gm)].some(([, heading = '']) => anchorOf(heading) === anchor)) {
        t.fail(`${page}: ${target} has no such heading`);
      }
    }
  }
});

type Schema = { readonly properties?: object; readonly default?: unknown };
const settingsOf = (schema: Schema, prefix = ''): [string, unknown][] =>
  Object.entries((schema.properties ?? {}) as Record<string, Schema>).flatMap(([name, setting]) =>
    setting.properties === undefined ? [[prefix + name, setting.default] as [string, unknown]] : settingsOf(setting, `${prefix}${name}.`),
  );

t.test('docs/app-contract.md has a row for each setting of [tool.pinion], with its default', async (t) => {
  const rows = new Map([...read('docs/app-contract.md').matchAll(/^\| `([a-z.-]+)` \| (.+?) \|/gm)].map(([, name, fallback]) => [name, fallback]));
  for (const [name, fallback] of settingsOf(settingsSchema)) {
    if (fallback === undefined) t.match(rows.get(name), /^(required|none)$/, name);
    else t.equal(rows.get(name), `\`${JSON.stringify(fallback)}\``, name);
  }
});

t.test('every PINION_ variable that a source reads is documented', async (t) => {
  const sources = globSync('{agent,pipeline,local}/**/*.{ts,mjs}', { cwd: root }).map(read).join('\n');
  const documented = pages.map(read).join('\n');
  const names = new Set([...sources.matchAll(/\bPINION_[A-Z]+(?:_[A-Z]+)*\b/g)].map(([name]) => name));
  t.ok(names.size > 5);
  t.same(
    [...names].filter((name) => !documented.includes(name)),
    [],
  );
});

t.test('docs/dependencies.md has every direct dependency, and no other', async (t) => {
  const { dependencies, devDependencies, optionalDependencies } = description;
  const inFiles = ['local/requirements.in', 'flask-app/requirements.in'].flatMap((file) => [...read(file).matchAll(/^[a-z][\w.-]*/gm)].map(([name]) => name));
  const direct = new Set([...Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies }), ...inFiles]);
  const rows = [...read('docs/dependencies.md').matchAll(/^\| ((?:`[^`]+`(?:, )?)+) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)]);
  t.same([...new Set(rows.map(([, name]) => name))].sort(), [...direct].sort());
});
