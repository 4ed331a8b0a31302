import { setTimeout as pause } from 'node:timers/promises';
import type { SmokePath } from '../settings.ts';

export type SmokeOrder = {
  /** Where the balancer answers. */
  readonly url: string;
  readonly paths: readonly SmokePath[];
  readonly release: number;
  readonly releaseHeader: string | undefined;
  /** Header in which the app sends PINION_INSTANCE; with it every one of `instances` must have answered. */
  readonly instanceHeader: string | undefined;
  readonly instances: readonly string[];
  /** Those in service by now: one that was scaled in meanwhile need not answer. */
  readonly stillThere: () => Promise<readonly string[]>;
  readonly budgetMs: number;
  readonly everyMs: number;
  readonly timeoutMs: number;
};
export type SmokeResult = { readonly passed: boolean; readonly requests: number /** What was met last, or what passed. */; readonly detail: string };

/** Between two rounds that look for more instances: fifty rounds a second at most. */
const meetMs = 20;

/**
 * Asks every path through the balancer, again and again, until a whole round is as expected and every instance has answered, or the budget has
 * ended. A connection for each request, so that the balancer chooses anew. Rejects only with the signal's reason.
 */
export async function smoke(order: SmokeOrder, signal: AbortSignal): Promise<SmokeResult> {
  const deadlineMs = performance.now() + order.budgetMs;
  const unseen = new Set(order.instanceHeader === undefined ? [] : order.instances);
  const all = unseen.size;
  let requests = 0;
  for (;;) {
    let problem: string | undefined;
    for (const path of order.paths) {
      requests++;
      const { problem: found, instance } = await askOnce(order, path, signal);
      problem ??= found;
      if (found === undefined && instance !== undefined) unseen.delete(instance);
    }
    if (problem === undefined && unseen.size > 0) problem = `${[...unseen].join(', ')} did not answer; ${all - unseen.size} of ${all} instances did`;
    if (problem === undefined)
      return { passed: true, requests, detail: `${order.paths.length} path${order.paths.length === 1 ? '' : 's'}${all > 0 ? `, all ${all} instances` : ''}` };
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0 && unseen.size > 0 && !problem.startsWith('GET ')) {
      const there = new Set(await order.stillThere());
      for (const id of unseen) if (!there.has(id)) unseen.delete(id);
      if (unseen.size === 0) continue;
    }
    if (leftMs <= 0) return { passed: false, requests, detail: problem };
    // Where all is well but an instance has yet to be met, nothing has to mend first.
    const everyMs = unseen.size < all && !problem.startsWith('GET ') ? Math.min(order.everyMs, meetMs) : order.everyMs;
    await pause(Math.min(everyMs, leftMs), undefined, { signal });
  }
}

type Answer = { readonly problem?: string; readonly instance?: string };

async function askOnce(
  { url, release, releaseHeader, instanceHeader, timeoutMs }: SmokeOrder,
  { path, status, text }: SmokePath,
  signal: AbortSignal,
): Promise<Answer> {
  const what = `GET ${path}`;
  try {
    const options = { headers: { connection: 'close' }, redirect: 'manual', signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) } as const;
    const response = await fetch(new URL(path, url), options);
    const body = await response.text();
    const header = (name: string | undefined) => (name === undefined ? undefined : (response.headers.get(name) ?? undefined));
    const instance = header(instanceHeader);
    const sent = header(releaseHeader);
    const answer = instance === undefined ? {} : { instance };
    if (response.status !== status) return { problem: `${what} answered ${response.status}, not ${status}` };
    if (releaseHeader !== undefined && sent !== String(release))
      return { problem: `${what} came from release ${sent ?? 'unknown'} (${releaseHeader}), not ${release}` };
    if (text !== undefined && !body.includes(text)) return { problem: `${what} answered without the text that [tool.pinion.smoke] names` };
    return answer;
  } catch (thrown) {
    signal.throwIfAborted();
    const { name, cause } = thrown as Error & { cause?: NodeJS.ErrnoException };
    return { problem: `${what} was not answered: ${name === 'TimeoutError' ? `nothing within ${timeoutMs} ms` : (cause?.code ?? name)}` };
  }
}
