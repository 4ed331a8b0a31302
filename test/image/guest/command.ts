import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

type Options = { readonly timeoutMs?: number; readonly input?: string | Uint8Array; readonly env?: NodeJS.ProcessEnv };

/** Before a program: it and all that it starts end together, also when this process is killed. It sees processes of its own alone. */
export const endingTogether = ['unshare', '--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--'];

/** Runs a program to its end and gives what it printed; it does not outlive this process. Throws with its last lines when it fails. */
export async function command(argv: readonly string[], { timeoutMs = 60_000, input, env = process.env }: Options = {}): Promise<string> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env,
    signal: AbortSignal.timeout(timeoutMs),
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const printed = (stream: typeof child.stdout) => (stream === null ? '' : text(stream));
  const [stdout, stderr, end] = await Promise.all([printed(child.stdout), printed(child.stderr), ended]).catch((cause) => {
    throw new Error(`${argv.join(' ')} did not end within ${timeoutMs} ms, or could not be started`, { cause });
  });
  if (end === 0) return stdout;
  throw new Error(`${argv.join(' ')} ended with ${end}: ${`${stdout}${stderr}`.trim().slice(-2_000)}`);
}
