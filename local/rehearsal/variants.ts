import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse, stringify } from 'smol-toml';

/** What smoke of a rehearsal asks besides: the health path with a query that an app as it is does not care for. */
export const smokeQuery = 'pinion-rehearsal';

/** An app as it is, one whose import raises, and one that boots and answers, but not what smoke of a rehearsal asks. */
export type Variant = 'good' | 'broken' | 'ill';

const module = 'pinion_rehearsal';

const sources: Readonly<Record<Exclude<Variant, 'good'>, (entry: string) => string>> = {
  broken: () => 'raise RuntimeError("this release cannot be imported")\n',
  ill: (entry) => {
    const [from = '', name = ''] = entry.split(':');
    const inner = name.endsWith('()') ? `${name.slice(0, -2)}()` : name;
    return [
      `from ${from} import ${name.replace('()', '')}`,
      `inner = ${inner}`,
      'def app(environ, start_response):',
      `    if environ.get("QUERY_STRING") != ${JSON.stringify(smokeQuery)}:`,
      '        return inner(environ, start_response)',
      '    start_response("500 Internal Server Error", [("content-type", "text/plain")])',
      '    return [b"this release is ill"]',
      '',
    ].join('\n');
  },
};

type Document = { tool: { pinion: { 'entry-point': string; 'health-path'?: string; include?: string[]; generated?: string[]; smoke?: object } } };

/** Copies the app in `appDir` to `folder` as this variant, with its build cache; `smoke` is laid over its own. */
export async function copyVariant(appDir: string, folder: string, variant: Variant, smoke: object): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await cp(appDir, folder, { recursive: true, filter: (path) => !['.pinion', '.git', '.venv', '__pycache__'].includes(basename(path)) });
  await mkdir(join(folder, '.pinion'), { recursive: true });
  await mkdir(join(appDir, '.pinion', 'cache'), { recursive: true });
  await symlink(join(appDir, '.pinion', 'cache'), join(folder, '.pinion', 'cache'));
  const file = join(folder, 'pyproject.toml');
  const document = parse(await readFile(file, 'utf8')) as unknown as Document;
  const { pinion } = document.tool;
  pinion.smoke = { ...pinion.smoke, ...smoke };
  if (variant !== 'good') {
    await writeFile(join(folder, `${module}.py`), sources[variant](pinion['entry-point']));
    pinion['entry-point'] = `${module}:app`;
    if (pinion.include !== undefined) pinion.include.push(`${module}.py`);
  }
  await writeFile(file, stringify(document));
  return folder;
}
