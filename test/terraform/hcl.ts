import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from '@cdktn/hcl2json';

/** The folder of a Terraform root of the project. */
export const rootFolder = (root: string): string => fileURLToPath(new URL(`../../terraform/${root}`, import.meta.url));

/** A block as HashiCorp's own parser reads it: nested blocks are lists, an expression is a string in `${}`. */
export type Block = { readonly [name: string]: unknown };
/** `name` has the labels of a block that has two: aws_s3_bucket.state. */
export type Named = { readonly kind: string; readonly type: string; readonly name: string; readonly file: string; readonly block: Block };

/** Every resource, data source, and whatever else is named, of the sources given by file name. Throws at a syntax error. */
export async function blocksOf(sources: Readonly<Record<string, string>>): Promise<Named[]> {
  const found: Named[] = [];
  for (const [file, source] of Object.entries(sources)) {
    const parsed = (await parse(file, source)) as Record<string, unknown>;
    for (const [kind, labelled] of Object.entries(parsed)) {
      if (Array.isArray(labelled)) for (const block of labelled) found.push({ kind, type: '', name: '', file, block });
      else for (const [type, named] of Object.entries(labelled as Block)) found.push(...under(kind, type, named, file));
    }
  }
  return found;
}

function under(kind: string, type: string, named: unknown, file: string): Named[] {
  if (Array.isArray(named)) return named.map((block: Block) => ({ kind, type, name: type, file, block }));
  return Object.entries(named as Record<string, Block[]>).flatMap(([name, blocks]) => blocks.map((block) => ({ kind, type, name, file, block })));
}

/** The sources of a root by file name. */
export const sourcesOf = (root: string): Record<string, string> =>
  Object.fromEntries(globSync('*.tf', { cwd: rootFolder(root) }).map((file) => [file, readFileSync(join(rootFolder(root), file), 'utf8')]));

/** Nested blocks of that name, those of `dynamic` blocks too. */
export function nested(block: Block, name: string): Block[] {
  const dynamic = list(block.dynamic).flatMap((blocks) => list((blocks as Block)[name]));
  return [...list(block[name]), ...dynamic.flatMap((each) => list((each as Block).content))] as Block[];
}

/** What an absent, single or repeated value is a list of. */
export const list = (value: unknown): unknown[] => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

/** An expression as it is written, and of all else the text. */
export const inner = (expression: unknown): string => String(expression).replace(/^\$\{(.*)\}$/s, '$1');

/** Every text anywhere in a block, with the path to it. */
export function* texts(value: unknown, path = ''): Generator<readonly [path: string, text: string]> {
  if (typeof value === 'string') yield [path, value];
  else if (typeof value === 'object' && value !== null)
    for (const [key, each] of Object.entries(value)) yield* texts(each, path === '' ? key : `${path}.${key}`);
}

/** What is found along a path of nested blocks: metadata_options.http_tokens. */
export function valuesAt(block: Block, path: string): unknown[] {
  const [name = '', ...rest] = path.split('.');
  return rest.length === 0 ? list(block[name]) : nested(block, name).flatMap((each) => valuesAt(each, rest.join('.')));
}

/** The addresses of all that a block or a local value names, and of what that names in turn: aws_lb.app, data.aws_subnet.existing, local.name. */
export function reachedFrom(address: string, blocks: readonly Named[]): Set<string> {
  const named = new Map(
    blocks.flatMap(({ kind, type, name, block }): (readonly [string, unknown])[] => {
      if (kind === 'locals') return Object.entries(block).map(([local, value]) => [`local.${local}`, value]);
      return [[`${kind === 'data' ? 'data.' : ''}${type}.${name}`, block]];
    }),
  );
  const reached = new Set([address]);
  for (const each of reached)
    for (const [, text] of texts(named.get(each))) for (const [next] of text.matchAll(/\b(?:data\.)?aws_\w+\.\w+|\blocal\.\w+/g)) reached.add(next);
  return reached;
}
