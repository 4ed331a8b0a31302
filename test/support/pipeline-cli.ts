import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export const cliProgram = fileURLToPath(new URL('../../pipeline/main.ts', import.meta.url));

export type CliRun = { readonly exit: number | null; readonly stdout: string; readonly stderr: string };
type CliChild = ChildProcessByStdio<Writable, Readable, Readable>;

/** Starts the CLI as a process with this environment alone. */
export const spawnCli = (argv: readonly string[], env: NodeJS.ProcessEnv = {}): CliChild =>
  spawn(process.execPath, [cliProgram, ...argv], { env: { PATH: process.env.PATH, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });

/** Waits for the end of a CLI process; `onStderr` sees all it has written so far. */
export function ended(child: CliChild, onStderr: (text: string) => void = () => undefined): Promise<CliRun> {
  const texts = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    texts.stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    texts.stderr += chunk;
    onStderr(texts.stderr);
  });
  return new Promise((resolve) => child.once('close', (exit) => resolve({ exit, ...texts })));
}

/** Runs the CLI to its end; `input` goes to its stdin. */
export function runCli(argv: readonly string[], env: NodeJS.ProcessEnv = {}, input: string | Uint8Array = ''): Promise<CliRun> {
  const child = spawnCli(argv, env);
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return ended(child);
}
