import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Of one test file; on a machine with more to do than these tests, some take a minute, and an apply by the real provider three. */
const fileSeconds = 420;
const running = new Set<ChildProcess>();
for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) {
  process.on(signal, () => {
    for (const child of running) child.kill('SIGTERM');
    process.exit(128 + number);
  });
}

/** What a program said, and its exit status or the signal that ended it. */
export type Ended = { readonly stdout: string; readonly stderr: string; readonly end: number | string };
type Timed = Ended & { readonly seconds: number };

/** Runs a program to its end, at most for so long; it ends with this process. */
export async function run(command: string, args: readonly string[], folder = root, seconds = fileSeconds): Promise<Timed> {
  const startedAt = performance.now();
  const env = { ...process.env, TAP_TIMEOUT: String(seconds) };
  const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 1000 * (seconds + 10), killSignal: 'SIGKILL' });
  running.add(child);
  const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  running.delete(child);
  return { stdout, stderr, end: code ?? signal, seconds: (performance.now() - startedAt) / 1_000 };
}

/** Test files, `atOnce` of them side by side, without tap's own runner: that puts variables of its own into every process that a test starts. */
export async function runFiles(
  files: readonly string[],
  nodeArgs: readonly string[],
  onEnd: (file: string, ended: Timed) => void,
  // Tests wait more than they work.
  atOnce = availableParallelism() + 1,
): Promise<void> {
  const left = [...files];
  const worker = async () => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) onEnd(file, await run(process.execPath, [...nodeArgs, file]));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
