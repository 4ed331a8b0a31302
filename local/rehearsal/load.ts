// A program: `node load.ts URL RATE` asks the balancer RATE times a second, half on kept connections and half on fresh ones, and never twice for one
// request. In a process of its own, so that nothing else holds it up. Prints one JSON line a request that had no good answer, and one a tick.
import { Agent, get } from 'node:http';
import { fileURLToPath } from 'node:url';

export type LoadLine =
  | { readonly failed: string; readonly atMs: number; readonly tookMs: number; readonly kept: boolean; readonly instance: string | undefined }
  | { readonly answered: number; readonly sent: number; readonly atMs: number };

const timeoutMs = 20_000;
const tickMs = 20;

if (process.argv[1] === fileURLToPath(import.meta.url)) generate(process.argv[2] ?? '', Number(process.argv[3]));

function generate(url: string, rate: number): void {
  const kept = new Agent({ keepAlive: true, maxSockets: 16 });
  const startedMs = performance.now();
  let [sent, answered] = [0, 0];
  const print = (line: LoadLine) => process.stdout.write(`${JSON.stringify(line)}\n`);
  const ask = (isKept: boolean) => {
    const atMs = Date.now();
    const begunMs = performance.now();
    sent++;
    let isSettled = false;
    const settle = (failed: string | undefined) => {
      if (isSettled) return;
      isSettled = true;
      if (failed === undefined) answered++;
      else print({ failed, atMs, tookMs: Math.round(performance.now() - begunMs), kept: isKept, instance: undefined });
    };
    const request = get(url, { agent: isKept ? kept : false, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      response.resume();
      response.on('end', () => settle(response.statusCode === 200 ? undefined : `status ${response.statusCode}`));
      response.on('error', (error) => settle(error.message));
      response.on('aborted', () => settle('the answer was cut off'));
    });
    request.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  };
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedMs) * rate) / 1_000);
    for (; sent < due; ) ask(sent % 2 === 0);
    print({ answered, sent, atMs: Date.now() });
  }, tickMs);
  const end = () => {
    clearInterval(timer);
    const wait = setInterval(() => {
      print({ answered, sent, atMs: Date.now() });
      kept.destroy();
    }, 100);
    setTimeout(() => {
      clearInterval(wait);
      process.exit();
    }, 300);
  };
  process.stdin.on('end', end).resume();
  process.on('SIGTERM', end);
}
