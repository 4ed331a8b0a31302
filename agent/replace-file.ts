import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Puts `text` at `path` by one rename, with this mode whatever the umask; nothing partial stays. Throws what the system says. */
export function replaceFile(path: string, text: string, mode: number): void {
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  try {
    writeFileSync(partial, text, { mode, flag: 'wx' });
    chmodSync(partial, mode);
    renameSync(partial, path);
  } catch (thrown) {
    rmSync(partial, { force: true });
    throw thrown;
  }
}
