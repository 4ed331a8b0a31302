import { Agent, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

/** One request of a client that never tries again: its status, or the code of the error that it met. */
type Seen = { readonly sentAtMs: number; readonly latencyMs: number; readonly outcome: number | string };

export type Load = {
  readonly seen: readonly Seen[];
  /** Everything but 200. */
  failed(): readonly Seen[];
  /** Resolves when so many more requests than now have been answered. */
  more(count: number): Promise<void>;
  /** Sends nothing new, and resolves when what was sent is answered and no connection is left. */
  stop(): Promise<void>;
};

const clients = 8;
/** Between two requests of one client: some hundred a second in all, which leaves this machine room for what is tested. */
const pauseMs = 20;
const patienceMs = 20_000;

/** Half of the clients keep their connection, half make one for each request; until it is stopped. */
export function startLoad(url: string): Load {
  const seen: Seen[] = [];
  const kept = new Agent({ keepAlive: true, maxSockets: clients / 2 });
  let isOver = false;
  let wake: (() => void)[] = [];
  const client = async (agent: Agent | false) => {
    while (!isOver) {
      const sentAtMs = performance.now();
      const outcome = await ask(url, agent);
      seen.push({ sentAtMs, latencyMs: performance.now() - sentAtMs, outcome });
      for (const resolve of wake.splice(0)) resolve();
      await wait(pauseMs);
    }
  };
  const all = Promise.all(Array.from({ length: clients }, (_, index) => client(index % 2 === 0 ? kept : false)));
  return {
    seen,
    failed: () => seen.filter(({ outcome }) => outcome !== 200),
    async more(count) {
      for (const until = seen.length + count; seen.length < until; ) await new Promise<void>((resolve) => wake.push(resolve));
    },
    async stop() {
      isOver = true;
      await all;
      kept.destroy();
      wake = [];
    },
  };
}

function ask(url: string, agent: Agent | false): Promise<number | string> {
  return new Promise((resolve) => {
    const call = request(url, { agent, timeout: patienceMs }, (response) => {
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      response.resume();
    });
    call.on('timeout', () => call.destroy(new Error(`no answer in ${patienceMs} ms`)));
    call.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    call.end();
  });
}
