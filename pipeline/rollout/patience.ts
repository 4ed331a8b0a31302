import { setTimeout as pause } from 'node:timers/promises';
import { Failure } from '../../contract/causes.ts';
import type { Context } from './context.ts';

/** Does a piece of work, and again while AWS throttles or does not answer: that says nothing about a release. */
export type Patience = <T>(work: () => Promise<T>) => Promise<T>;

/** Ever slower, until `lateAtMs`; then it throws what `late` gives. */
export function createPatience({ pace, say, signal }: Context, lateAtMs: number, late: (last: Failure) => Failure): Patience {
  return async (work) => {
    for (let everyMs = pace.pollMs; ; ) {
      try {
        return await work();
      } catch (thrown) {
        if (!(thrown instanceof Failure) || thrown.code !== 'AWS_UNAVAILABLE') throw thrown;
        if (performance.now() > lateAtMs) throw late(thrown);
        everyMs = Math.min(pace.slowestPollMs, 2 * everyMs);
        say({ event: 'slow', detail: thrown.message, nextLookMs: everyMs });
        await pause(everyMs, undefined, { signal });
      }
    }
  };
}
