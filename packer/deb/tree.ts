import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, lutimesSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A folder as it will be on a host. Modes do not depend on the umask. */
export type Tree = {
  /** Makes the folders of `path` and gives where a tool may write the file. */
  place(path: string): string;
  /** Writes a file: 0755 for a program, 0644 for any other. */
  put(path: string, content: string | Uint8Array, mode?: number): void;
  /** Copies what is in `folder`; what its owner may execute is a program. */
  copy(folder: string): void;
};

const program = 0o755;

export function createTree(root: string): Tree {
  const place = (path: string) => {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    return target;
  };
  const put = (path: string, content: string | Uint8Array, mode = 0o644) => {
    writeFileSync(place(path), content);
    chmodSync(join(root, path), mode);
  };
  const copy = (folder: string) => {
    for (const path of filesOf(folder)) {
      const source = join(folder, path);
      put(path, readFileSync(source), (statSync(source).mode & 0o100) === 0 ? 0o644 : program);
    }
  };
  return { place, put, copy };
}

/** Every path below `folder`, in the order of its bytes. */
const pathsOf = (folder: string): readonly string[] => (readdirSync(folder, { recursive: true }) as string[]).sort();

const filesOf = (folder: string): readonly string[] => pathsOf(folder).filter((path) => !lstatSync(join(folder, path)).isDirectory());

/** DEBIAN/md5sums (deb-md5sums(5)). */
export const md5sums = (root: string): string =>
  filesOf(root)
    .map(
      (path) =>
        `${createHash('md5')
          .update(readFileSync(join(root, path)))
          .digest('hex')}  ${path}\n`,
    )
    .join('');

/** Installed-Size (deb-substvars(5)): KiB begun by each file, one for each folder. What the disk says (du) depends on the file system. */
export function installedSizeKb(root: string): number {
  return pathsOf(root).reduce((sum, path) => {
    const status = lstatSync(join(root, path));
    return sum + (status.isDirectory() ? 1 : Math.ceil(status.size / 1024));
  }, 0);
}

/** Gives everything one date, and folders their mode; the last thing done to a tree. */
export function seal(root: string, date: Date): void {
  for (const path of [...pathsOf(root), '.']) {
    const target = join(root, path);
    if (lstatSync(target).isDirectory()) chmodSync(target, program);
    lutimesSync(target, date, date);
  }
}
