import { spawn } from 'node:child_process';

type RunOptions = { readonly env: NodeJS.ProcessEnv; readonly cwd: string; readonly signal: AbortSignal; readonly input?: Uint8Array | string };
/** `exit` is the code, or the name of the signal that ended it, or the code of the error that kept it from starting (`ENOENT`). */
export type Ran = { readonly exit: number | string; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end without a shell. Throws only the reason of `signal`, when the program is gone. */
export function run(command: string, argv: readonly string[], { env, cwd, signal, input }: RunOptions): Promise<Ran> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(command, argv, { env, cwd, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    // A program that ends before it has read everything is judged by its exit.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
    const kill = () => child.kill('SIGKILL');
    signal.addEventListener('abort', kill, { once: true });
    const end = (exit: number | string) => {
      signal.removeEventListener('abort', kill);
      if (signal.aborted) reject(signal.reason);
      else resolve({ exit, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    };
    child.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.name));
    child.once('close', (code, killedBy) => end(code ?? killedBy ?? 'unknown'));
  });
}
