import { foldedPath, pathProblem, printable } from '../../contract/artifact-path.ts';
import { Failure } from '../../contract/causes.ts';
import type { Pack } from './pack.ts';

/** Where the bytes of a file are: in memory, or from `offset` on in a pack. */
export type Bytes = Uint8Array | { readonly packPath: string; readonly offset: number };
export type TreeEntry =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly executable: boolean; readonly sizeBytes: number; readonly bytes: Bytes };

const byBytes = (a: { readonly path: string }, b: { readonly path: string }): number => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path));

/**
 * Everything in an artifact, in its order: `manifest.json`, then folders and files by the bytes of their paths. Wheels may share a path when
 * its bytes are equal. Pure; throws WHEEL_REFUSED or, for the app's own pack, SOURCE_REFUSED.
 */
export function mergeTree(manifest: Uint8Array, wheels: readonly Pack[], app: Pack): readonly TreeEntry[] {
  const refuse = (pack: Pack, path: string, reason: string) =>
    pack === app
      ? new Failure('SOURCE_REFUSED', { path: printable(path), reason })
      : new Failure('WHEEL_REFUSED', { wheel: pack.name, reason: `${printable(path)}: ${reason}` });
  type Owned = { readonly entry: TreeEntry; readonly pack: Pack; readonly sha256: string; readonly compiled: boolean };
  const owned = new Map<string, Owned>();

  const add = (entry: TreeEntry, pack: Pack, sha256: string, compiled: boolean) => {
    const key = foldedPath(entry.path);
    const earlier = owned.get(key);
    if (earlier === undefined) {
      owned.set(key, { entry, pack, sha256, compiled });
    } else if (earlier.entry.path !== entry.path) {
      throw refuse(pack, entry.path, `${earlier.entry.path} of ${earlier.pack.name} differs only in case or Unicode form`);
    } else if (earlier.entry.kind !== entry.kind) {
      throw refuse(pack, entry.path, `it is a ${entry.kind} here and a ${earlier.entry.kind} in ${earlier.pack.name}`);
    } else if (earlier.sha256 !== sha256 && !(earlier.compiled && compiled)) {
      // Compiled code of equal sources may differ by what its process compiled before; the sources were compared.
      throw refuse(pack, entry.path, `${earlier.pack.name} has it with other bytes`);
    }
  };

  for (const pack of [...wheels, app]) {
    let offset = 0;
    for (const { path, executable, sizeBytes, sha256, compiled } of pack.entries) {
      const problem = pathProblem(path);
      if (problem !== undefined) throw refuse(pack, path, problem);
      for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) add({ kind: 'folder', path: path.slice(0, end) }, pack, '', false);
      add({ kind: 'file', path, executable, sizeBytes, bytes: { packPath: pack.path, offset } }, pack, sha256, compiled);
      offset += sizeBytes;
    }
  }
  const first: TreeEntry = { kind: 'file', path: 'manifest.json', executable: false, sizeBytes: manifest.length, bytes: manifest };
  return [first, ...[...owned.values()].map(({ entry }) => entry).sort(byBytes)];
}
