import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { endingTogether } from './command.ts';

const startMs = 10_000;
// A program that changes its user, as dnsmasq does, loses its death signal (prctl(2), PR_SET_PDEATHSIG); the shell before it keeps its own.
const asChild = ['sh', '-c', '"$@"; exit "$?"', 'sh'];

/** Starts a program that prints what `isReady` fits when it serves, and waits for that. It ends with this process. */
export async function startDaemon(argv: readonly string[], isReady: RegExp): Promise<{ stop(): Promise<void> }> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...endingTogether, ...asChild, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  const timer = setTimeout(() => child.kill('SIGKILL'), startMs);
  let printed = '';
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
        if (isReady.test(printed)) resolve();
      });
    }
    closed.then(([code, signal]) => reject(new Error(`${argv.join(' ')} ended with ${code ?? signal} and did not serve: ${printed.trim()}`)), reject);
  }).finally(() => clearTimeout(timer));
  return {
    async stop() {
      // Its pipes are not waited for: what it started may have them for longer.
      const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGKILL');
      await exited;
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
    },
  };
}
