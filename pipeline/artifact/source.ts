import { access, readdir } from 'node:fs/promises';
import { join, matchesGlob } from 'node:path';
import { pathProblem, printable } from '../../contract/artifact-path.ts';
import { Failure } from '../../contract/causes.ts';
import { ignoredByGit } from './ignored.ts';

type Selection = { readonly include: readonly string[]; readonly exclude: readonly string[]; readonly generated: readonly string[] };
export type AppFiles = {
  readonly files: readonly string[];
  /** What was left out because git ignores it. */
  readonly ignored: readonly string[];
};

/**
 * Paths, relative to `appDir`, of the files that belong to the app: those `include` matches and `exclude` does not, without what git ignores
 * and `generated` does not match. A glob that matches a folder takes all below it. Never: names that begin with a dot, `__pycache__`, `*.pyc`,
 * `node_modules`, virtual environments. Throws SOURCE_REFUSED for what is matched and is neither file nor folder, or has a name no artifact
 * carries, and when nothing is matched; GIT_FAILED.
 */
export async function appFiles(appDir: string, selection: Selection, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<AppFiles> {
  const files: string[] = [];
  const ignored: string[] = [];
  const take = async (repository: Part) => {
    const found = await walk(appDir, repository, selection);
    const asked = found.filter(({ isGenerated }) => !isGenerated).map(({ path }) => join(appDir, path));
    const isIgnored = await ignoredByGit(join(appDir, repository.path), asked, env, signal);
    for (const part of found) {
      if (isIgnored.has(join(appDir, part.path))) {
        if (part.isIncluded) ignored.push(part.path);
      } else if (part.isRepository) await take(part);
      else if (part.refusal !== undefined) throw new Failure('SOURCE_REFUSED', { path: printable(part.path), reason: part.refusal });
      else files.push(part.path);
    }
  };
  await take({ path: '', isIncluded: false, isGenerated: false });
  if (files.length === 0) throw new Failure('SOURCE_REFUSED', { path: appDir, reason: 'include matches no file that git does not ignore' });
  return { files, ignored };
}

type Part = { readonly path: string; readonly isIncluded: boolean; readonly isGenerated: boolean };
type Found = Part & { readonly isRepository?: true; readonly refusal?: string | undefined };

/** Files below `top`, and the repositories inside of its own: git answers for one at a time. */
async function walk(appDir: string, top: Part, { include, exclude, generated }: Selection): Promise<readonly Found[]> {
  const found: Found[] = [];
  const into = async (folder: Part) => {
    const entries = await readdir(join(appDir, folder.path), { withFileTypes: true, encoding: 'buffer' });
    if (folder !== top && entries.some(({ name }) => name.toString() === '.git')) {
      found.push({ ...folder, isRepository: true });
      return;
    }
    for (const entry of entries) {
      const name = utf8(entry.name);
      if (name === undefined) {
        throw new Failure('SOURCE_REFUSED', { path: join(folder.path, entry.name.toString('latin1')), reason: 'its name is not UTF-8' });
      }
      if (name.startsWith('.') || name === '__pycache__' || name === 'node_modules' || name.endsWith('.pyc')) continue;
      const path = folder.path === '' ? name : `${folder.path}/${name}`;
      if (matches(exclude, path)) continue;
      const part = { path, isIncluded: folder.isIncluded || matches(include, path), isGenerated: folder.isGenerated || matches(generated, path) };
      if (entry.isDirectory()) {
        if (!(await isVirtualEnvironment(join(appDir, path)))) await into(part);
      } else if (part.isIncluded) {
        const refusal = entry.isFile() ? pathProblem(`app/${path}`) : entry.isSymbolicLink() ? 'it is a link' : 'it is neither a file nor a folder';
        found.push({ ...part, refusal });
      }
    }
  };
  await into(top);
  return found;
}

const matches = (globs: readonly string[], path: string): boolean => globs.some((glob) => matchesGlob(path, glob.replace(/\/$/, '')));

const decoder = new TextDecoder('utf-8', { fatal: true });
function utf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

const isVirtualEnvironment = (folder: string): Promise<boolean> =>
  access(join(folder, 'pyvenv.cfg')).then(
    () => true,
    () => false,
  );
