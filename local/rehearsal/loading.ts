import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LoadLine } from './load.ts';

const program = fileURLToPath(new URL('load.ts', import.meta.url));

export type FailedRequest = LoadLine & { readonly failed: string };
/** What was sent between two moments, and what of it had no good answer. */
export type Count = { readonly requests: number; readonly failed: readonly FailedRequest[] };
export type Load = {
  /** Begins a count; its function ends it. */
  count(): () => Count;
  /** Resolves when so many more requests were sent and answered, whatever the answer. */
  more(requests: number): Promise<void>;
  stop(): Promise<void>;
};

/** Constant load on a URL from a process of its own, which ends with this one. */
export function startLoad(url: string, ratePerSecond: number): Load {
  const child = spawn(process.execPath, [program, url, String(ratePerSecond)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const failed: FailedRequest[] = [];
  let [sent, answered] = [0, 0];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as LoadLine;
    if ('failed' in line) failed.push(line);
    else [sent, answered] = [line.sent, line.answered];
    for (const look of waiting) look();
  });
  const closed = once(child, 'close');
  return {
    count() {
      const [sentBefore, failedBefore] = [sent, failed.length];
      return () => ({ requests: sent - sentBefore, failed: failed.slice(failedBefore) });
    },
    more(requests) {
      const goal = answered + failed.length + requests;
      return new Promise((resolve) => {
        const look = () => {
          if (answered + failed.length < goal) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
      });
    },
    async stop() {
      child.stdin.end();
      await closed;
    },
  };
}
