import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOwned, owner } from './owner.ts';

/** Where cgroup v2 is: alone, or beside the v1 controllers (systemd calls that hybrid). */
export const cgroupRoot = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((folder) => existsSync(join(folder, 'cgroup.procs')));
/** In hybrid mode systemd-nspawn makes the same folder here as well. */
const namedHierarchy = '/sys/fs/cgroup/systemd';
const prefix = 'pinion-guest.';
const longestEndMs = 5_000;
let made = 0;

export type Cgroup = {
  /** A process that writes its id here belongs to it. */
  readonly procsFile: string;
  readonly controllers: readonly string[];
  /** SIGKILL to all of it, at once and whatever they fork (cgroup.kill, Linux 5.14). */
  kill(): void;
  /** Kills what is left and takes it away. */
  remove(): void;
};

/** A cgroup of one guest, named after this process. */
export function makeCgroup(): Cgroup {
  if (cgroupRoot === undefined) throw new Error('no cgroup v2 is mounted');
  const name = `${prefix}${owner}.${++made}`;
  const folder = join(cgroupRoot, name);
  mkdirSync(folder);
  return {
    procsFile: join(folder, 'cgroup.procs'),
    controllers: readFileSync(join(folder, 'cgroup.controllers'), 'utf8').split(/\s+/).filter(Boolean),
    kill: () => kill(folder),
    remove: () => remove(name),
  };
}

/** Ends and removes the cgroups of this process's guests: for one that is about to end. */
export const removeOwnCgroups = (): void =>
  names()
    .filter((name) => name.startsWith(`${prefix}${owner}.`))
    .forEach(remove);

/** Ends and removes what runs that were killed have left. */
export const sweepCgroups = (): void =>
  names()
    .filter((name) => !isOwned(name))
    .forEach(remove);

function names(): string[] {
  const folders = [cgroupRoot, namedHierarchy].filter((folder) => folder !== undefined && existsSync(folder)) as string[];
  return [...new Set(folders.flatMap((folder) => readdirSync(folder)))].filter((name) => name.startsWith(prefix));
}

function kill(folder: string): void {
  if (existsSync(folder)) writeFileSync(join(folder, 'cgroup.kill'), '1');
}

function remove(name: string): void {
  const folders = [join(cgroupRoot ?? '', name), join(namedHierarchy, name)].filter((folder) => existsSync(folder));
  const untilMs = performance.now() + longestEndMs;
  for (const folder of folders) {
    for (;;) {
      try {
        if (folder.startsWith(cgroupRoot ?? '')) kill(folder);
        removeTree(folder);
        break;
      } catch (thrown) {
        // The killed leave within milliseconds. No event tells when, and a process that ends can wait for none.
        if ((thrown as NodeJS.ErrnoException).code !== 'EBUSY' || performance.now() > untilMs) throw thrown;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    }
  }
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(folder, entry.name));
  rmdirSync(folder);
}
