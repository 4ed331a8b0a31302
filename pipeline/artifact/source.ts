import { access, readdir } from 'node:fs/promises';
import { join, matchesGlob } from 'node:path';
import { pathProblem, printable } from '../../contract/artifact-path.ts';
import { Failure } from '../../contract/causes.ts';

type Selection = { readonly include: readonly string[]; readonly exclude: readonly string[] };

/**
 * Paths, relative to `appDir`, of the files that belong to the app: those `include` matches and `exclude` does not. A glob that matches a
 * folder takes all below it. Never: names that begin with a dot, `__pycache__`, `*.pyc`, `node_modules`, virtual environments.
 * Throws SOURCE_REFUSED for what is matched and is neither file nor folder, or has a name no artifact carries, and when nothing is matched.
 */
export async function appFiles(appDir: string, { include, exclude }: Selection): Promise<readonly string[]> {
  const files: string[] = [];
  const walk = async (folder: string, included: IsIncluded) => {
    for (const entry of await readdir(join(appDir, folder), { withFileTypes: true, encoding: 'buffer' })) {
      const name = utf8(entry.name);
      if (name === undefined) {
        throw new Failure('SOURCE_REFUSED', { path: join(folder, entry.name.toString('latin1')), reason: 'its name is not UTF-8' });
      }
      if (name.startsWith('.') || name === '__pycache__' || name === 'node_modules' || name.endsWith('.pyc')) continue;
      const path = folder === '' ? name : `${folder}/${name}`;
      if (exclude.some((glob) => matchesGlob(path, glob.replace(/\/$/, '')))) continue;
      const isIncluded = included === 'whole' || include.some((glob) => matchesGlob(path, glob.replace(/\/$/, ''))) ? 'whole' : 'by-glob';
      if (entry.isDirectory()) {
        if (!(await isVirtualEnvironment(join(appDir, path)))) await walk(path, isIncluded);
      } else if (isIncluded === 'whole') {
        const reason = entry.isFile() ? pathProblem(`app/${path}`) : entry.isSymbolicLink() ? 'it is a link' : 'it is neither a file nor a folder';
        if (reason !== undefined) throw new Failure('SOURCE_REFUSED', { path: printable(path), reason });
        files.push(path);
      }
    }
  };
  await walk('', 'by-glob');
  if (files.length === 0) throw new Failure('SOURCE_REFUSED', { path: appDir, reason: 'include matches no file' });
  return files;
}

type IsIncluded = 'whole' | 'by-glob';

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
