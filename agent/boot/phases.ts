import { setTimeout as wait } from 'node:timers/promises';
import { asFailure, Failure } from '../../contract/causes.ts';
import type { BootEvent, BootPhase } from '../../contract/events.ts';
import { fullJitterMs } from '../jitter.ts';
import type { Limits } from '../limits.ts';

export type Say = (event: BootEvent) => void;

type RunPhase = {
  /** Runs one phase; the signal it gets aborts at the boot deadline or when the agent is told to stop. */
  <T>(name: BootPhase, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Moves the deadline: `budgetMs` from the start of the boot. */
  setBudget(budgetMs: number): void;
};

/**
 * One deadline over all phases of a boot. A transient Failure is retried with full jitter until the deadline and then thrown itself;
 * a permanent one ends its phase at once. A phase that is still waiting at the deadline ends as BOOT_TIMEOUT, or as its last transient Failure.
 */
export function phases(limits: Limits, say: Say, stop: AbortSignal): RunPhase {
  const now = () => performance.now();
  const startedAt = now();
  let budgetMs = limits.bootBudgetMs;

  const run = async <T>(name: BootPhase, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const phaseStartedAt = now();
    say({ event: 'phase-started', phase: name });
    let last: Failure | undefined;
    for (let attempt = 1; ; attempt++) {
      const leftMs = budgetMs - (now() - startedAt);
      const deadline = AbortSignal.timeout(Math.max(0, Math.floor(leftMs)));
      const signal = AbortSignal.any([stop, deadline]);
      try {
        signal.throwIfAborted();
        const result = await work(signal);
        say({ event: 'phase-ended', phase: name, ms: Math.round(now() - phaseStartedAt), attempts: attempt });
        return result;
      } catch (thrown) {
        if (stop.aborted) throw stop.reason;
        if (deadline.aborted) throw last ?? (thrown instanceof Failure ? thrown : new Failure('BOOT_TIMEOUT', { budgetMs, phase: name }, { cause: thrown }));
        last = asFailure(thrown);
        if (!last.isTransient) throw last;
      }
      const retryInMs = fullJitterMs(attempt, limits.retryBaseMs, limits.retryCapMs, Math.random());
      if (now() - startedAt + retryInMs >= budgetMs) throw last;
      say({ event: 'phase-retried', phase: name, attempt, retryInMs, ...last.report });
      await wait(retryInMs, undefined, { signal: stop }).catch(() => {
        throw stop.reason;
      });
    }
  };
  return Object.assign(run, {
    setBudget(ms: number) {
      budgetMs = ms;
    },
  });
}
