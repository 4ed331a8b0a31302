import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rename, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './command.ts';
import { imageFolder, projectRoot } from './folders.ts';
import { inTurn } from './turn.ts';

/** What nobody used for so long, no run that is under way does. */
const unusedMs = 2 * 3_600_000;

export const storedPath = (kind: string, key: string): string => join(imageFolder, `${kind}-${key}`);

/** The folder of this kind and key, from the cache, or made now: `make` fills an empty one, which counts only when it is done. Kinds are made one at a time. */
export async function stored(kind: string, key: string, make: (folder: string) => Promise<void>): Promise<string> {
  const path = storedPath(kind, key);
  if (!existsSync(path)) {
    await inTurn(join(imageFolder, `${kind}.turn`), async () => {
      if (existsSync(path)) return;
      // Whoever made a partial one has ended: the turn is ours.
      await sweep(kind, (name) => name.endsWith('.partial'));
      await sweepUnused(kind);
      const partial = `${path}.partial`;
      await mkdir(partial, { recursive: true });
      await make(partial);
      await rename(partial, path);
    });
  }
  await utimes(path, new Date(), new Date());
  return path;
}

/** Of every part that the result depends on; files by their content, below the project's folder. */
export function keyOf(parts: readonly string[], files: readonly string[] = []): string {
  const hash = createHash('sha256').update(JSON.stringify(parts));
  for (const file of filesOf(files)) hash.update(`\0${file}\0`).update(readFileSync(join(projectRoot, file)));
  return hash.digest('hex').slice(0, 16);
}

const filesOf = (patterns: readonly string[]): string[] =>
  globSync(patterns, { cwd: projectRoot, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(projectRoot.length))
    .sort();

async function sweepUnused(kind: string): Promise<void> {
  const usedAtMs = new Map<string, number>();
  for (const name of await namesOf(kind)) usedAtMs.set(name, (await stat(join(imageFolder, name))).mtimeMs);
  const newest = Math.max(...usedAtMs.values());
  await sweep(kind, (name) => (usedAtMs.get(name) ?? 0) < Math.min(newest, Date.now() - unusedMs));
}

async function sweep(kind: string, isUnwanted: (name: string) => boolean): Promise<void> {
  for (const name of (await namesOf(kind)).filter(isUnwanted)) await command(['rm', '-rf', '--one-file-system', join(imageFolder, name)]);
}

const namesOf = async (kind: string): Promise<string[]> => (await readdir(imageFolder)).filter((name) => name.startsWith(`${kind}-`));
