import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { Ended } from '../../support/run-files.ts';
import { killTree } from './processes.ts';

/** A line for `sh -c`, or a program with its arguments. */
export type Command = string | readonly string[];
export type RunAs = { readonly user?: string; readonly environment?: Readonly<Record<string, string>> };
export type Finished = Omit<Ended, 'stdout'> & { readonly stdout: Buffer };
export type InsideProcess = ChildProcessByStdio<Writable, Readable, Readable>;

const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };
// Of the guest's own tools: the user's name means something only in there.
const asUser = 'user=$1; shift; exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@"';

/** Starts a program in a guest, as root or as `user`, with nothing of this process's environment. */
export function spawnInside(leader: number, command: Command, { user, environment: more = {} }: RunAs = {}): InsideProcess {
  const program = typeof command === 'string' ? ['sh', '-c', command] : command;
  const variables = Object.entries({ ...environment, ...more }).map(([name, value]) => `${name}=${value}`);
  const as = user === undefined ? [] : ['sh', '-c', asUser, 'sh', user];
  // Not --all: it would also want the guest's time and user namespaces, which it shares with this process.
  const enter = ['--target', String(leader), '--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--'];
  return spawn('nsenter', [...enter, 'env', '-i', ...variables, ...as, ...program], { stdio: 'pipe' });
}

/** The end of a program in a guest and all it printed; SIGKILL to it and what it started after `timeoutMs`. */
export async function finish(child: InsideProcess, timeoutMs: number, input: string | Uint8Array = ''): Promise<Finished> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const timer = setTimeout(() => {
    killTree(child.pid ?? 0);
    // What it left in the background may have them open for as long as it likes.
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  }, timeoutMs);
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  try {
    const [code, signal] = await once(child, 'close');
    return { stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString(), end: code ?? signal };
  } finally {
    clearTimeout(timer);
  }
}
