import { globSync } from 'node:fs';
import { appendFile, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse } from 'smol-toml';
import { Failure } from '../contract/causes.ts';
import { slug } from '../contract/names.ts';

/** What was written, and what an author does next. */
export type Initialized = {
  readonly file: string;
  readonly app: string;
  readonly entryPoint: string;
  readonly python: string;
  readonly include: string;
  readonly next: readonly string[];
};

/** The image's (docs/image.md). */
const imageMinor = 13;
const skipped = ['**/{node_modules,.venv,venv,tests,test,migrations,.pinion,.git,build,dist}/**'];

/**
 * Writes `[tool.pinion]` for the Flask app in a folder into its pyproject.toml, made if it is not there, from what its sources say. Throws
 * SETTINGS_INVALID where there is one already or the file is no TOML, SETTINGS_MISSING where no Flask app is found.
 */
export async function initialize(appDir: string): Promise<Initialized> {
  const file = join(appDir, 'pyproject.toml');
  const text = await readFile(file, 'utf8').catch((thrown) => (thrown.code === 'ENOENT' ? '' : Promise.reject(thrown)));
  let document: { readonly project?: { readonly name?: string; readonly 'requires-python'?: string }; readonly tool?: { readonly pinion?: unknown } };
  try {
    document = parse(text);
  } catch (cause) {
    throw new Failure('SETTINGS_INVALID', { file, path: '/', problem: 'it is not TOML' }, { cause });
  }
  if (document.tool?.pinion !== undefined) throw new Failure('SETTINGS_INVALID', { file, path: '/tool/pinion', problem: 'it is there already' });
  const found = await findEntry(appDir);
  if (found === undefined) throw new Failure('SETTINGS_MISSING', { detail: `no file in ${appDir} makes a Flask app (Flask(…) at the top, or create_app())` });
  const app = slugOf(document.project?.name ?? basename(appDir));
  const python = pythonFor(document.project?.['requires-python'] ?? '');
  const { entryPoint, include } = found;
  const lines = [
    `[tool.pinion]`,
    `app = "${app}"`,
    `entry-point = "${entryPoint}"`,
    `python = "${python}"`,
    `health-path = "/healthz"`,
    `config = []`,
    `include = ["${include}"]`,
  ];
  await appendFile(file, `${text === '' || text.endsWith('\n') ? '' : '\n'}${text === '' ? '' : '\n'}${lines.join('\n')}\n`);
  return { file, app, entryPoint, python, include, next: await nextSteps(appDir, found) };
}

type Entry = { readonly entryPoint: string; readonly include: string; readonly hasHealth: boolean };

/** The first of `wsgi.py`, `app.py` and the others, the nearest first, that makes a Flask app or has a factory. */
async function findEntry(appDir: string): Promise<Entry | undefined> {
  const preferred = ['wsgi.py', 'app.py'];
  const files = globSync('**/*.py', { cwd: appDir, exclude: skipped }).sort((a, b) => {
    const rank = (path: string) => path.split('/').length * 10 + (preferred.includes(basename(path)) ? preferred.indexOf(basename(path)) : 5);
    return rank(a) - rank(b) || (a < b ? -1 : 1);
  });
  const sources = await Promise.all(files.map((path) => readFile(join(appDir, path), 'utf8')));
  const hasHealth = sources.some((source) => source.includes('/healthz'));
  for (const [at, path] of files.entries()) {
    const source = sources[at] ?? '';
    if (!/^\s*(from flask import|import flask)/m.test(source)) continue;
    const module = path.replace(/(\/__init__)?\.py$/, '').replaceAll('/', '.');
    const [, name] = /^(\w+)\s*(?::[^=\n]+)?=\s*(?:flask\.)?Flask\(/m.exec(source) ?? /^def (create_app|make_app)\(/m.exec(source) ?? [];
    if (name === undefined) continue;
    const isFactory = name === 'create_app' || name === 'make_app';
    return { entryPoint: `${module}:${name}${isFactory ? '()' : ''}`, include: path.split('/')[0] ?? path, hasHealth };
  }
  return undefined;
}

async function nextSteps(appDir: string, { hasHealth }: Entry): Promise<readonly string[]> {
  const requirements = await readFile(join(appDir, 'requirements.txt'), 'utf8').catch(() => '');
  return [
    ...(requirements.includes('--hash=') ? [] : ['lock the requirements with hashes: uv pip compile --generate-hashes requirements.in -o requirements.txt']),
    ...(/^gunicorn\b/m.test(requirements) ? [] : ['add gunicorn to them']),
    ...(hasHealth ? [] : ['answer GET /healthz with 200 whenever the process can serve; ask no database there']),
    'name in config the environment variables that the app needs',
    'then: npm start -- --app-dir FOLDER, in pinion, serves it on this machine',
  ];
}

/** The image's Python where the project's version specifiers allow it (PyPA, "Version specifiers"); otherwise the first that they name. */
function pythonFor(specifiers: string): string {
  const parts = [...specifiers.matchAll(/(>=|<=|==|~=|!=|>|<)\s*3\.(\d{1,2})(\.\d+)?/g)].map(([, operator = '', minor, patch]) => ({
    operator,
    minor: Number(minor),
    isExact: operator === '==' || (operator === '~=' && patch !== undefined),
  }));
  const holds = ({ operator, minor, isExact }: (typeof parts)[number]): boolean => {
    if (isExact) return minor === imageMinor;
    if (operator === '!=') return minor !== imageMinor;
    return operator.startsWith('<') ? imageMinor < minor : imageMinor >= minor;
  };
  return `3.${parts.every(holds) ? imageMinor : (parts[0]?.minor ?? imageMinor)}`;
}

function slugOf(name: string): string {
  const made = name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 32);
  return new RegExp(slug.pattern).test(made) ? made : 'app';
}
