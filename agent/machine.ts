import { type CauseReport, Failure } from '../contract/causes.ts';
import type { StateName } from '../contract/status.ts';
import { backoffMs, decideRestart, type Exit } from './app/restart.ts';
import type { Limits } from './limits.ts';
import { judge, unproven, type Verdict } from './readiness/verdict.ts';

/** What the machine must know of the release that runs. */
export type AppFacts = { readonly entryPoint: string; readonly healthPath: string; readonly gracefulTimeoutMs: number };

/** One agent's life so far. `report` is why it is not ready, while there is a reason. */
export type Life = {
  readonly state: StateName;
  readonly app: AppFacts | undefined;
  /** gunicorn's process: `starting` until it is spawned, `ending` once it was told to end. */
  readonly process: 'absent' | 'starting' | 'running' | 'ending';
  readonly verdict: Verdict;
  readonly failedStarts: number;
  readonly exitsMs: readonly number[];
  readonly report: CauseReport | undefined;
};

export type TimerName = 'start-deadline' | 'restart-due' | 'settled' | 'kill-due';

/** Times are monotonic milliseconds; `chance` in [0, 1) is the jitter's, so that deciding stays pure. */
export type Event =
  | { readonly type: 'booted'; readonly app: AppFacts }
  | { readonly type: 'boot-failed'; readonly report: CauseReport }
  | { readonly type: 'app-started' }
  | { readonly type: 'start-failed'; readonly failure: Failure; readonly chance: number }
  | { readonly type: 'app-exited'; readonly exit: Exit; readonly tail: readonly string[]; readonly atMs: number; readonly chance: number }
  | { readonly type: 'probed'; readonly isGood: boolean; readonly detail: string }
  | { readonly type: 'timer'; readonly name: TimerName }
  | { readonly type: 'stop' };

export type Effect =
  | { readonly do: 'start-app' | 'terminate-app' | 'kill-app' | 'stop-boot' | 'exit' }
  | { readonly do: 'probe'; readonly everyMs: number; readonly refusedEveryMs: number }
  | { readonly do: 'set-timer'; readonly name: TimerName; readonly afterMs: number }
  | { readonly do: 'cancel-timer'; readonly name: TimerName }
  | { readonly do: 'report'; readonly report: CauseReport };

export type Step = { readonly life: Life; readonly effects: readonly Effect[] };

export const newLife: Life = { state: 'booting', app: undefined, process: 'absent', verdict: unproven, failedStarts: 0, exitsMs: [], report: undefined };

/** What follows from one event: the next life and what to do, in order. An event that does not fit the state changes nothing. */
export function step(life: Life, event: Event, limits: Limits): Step {
  switch (event.type) {
    case 'booted':
      return life.state === 'booting' ? next({ ...life, state: 'starting', process: 'starting', app: event.app }, { do: 'start-app' }) : same(life);
    case 'boot-failed':
      return life.state === 'booting' ? fail(life, event.report) : same(life);
    case 'app-started':
      return started(life, limits);
    case 'start-failed':
      return startFailed(life, event.failure, event.chance, limits);
    case 'app-exited':
      return exited(life, event, limits);
    case 'probed':
      return probed(life, event, limits);
    case 'timer':
      return timeUp(life, event.name, limits);
    case 'stop':
      return stop(life, limits);
  }
}

function started(life: Life, limits: Limits): Step {
  const running: Life = { ...life, process: 'running', failedStarts: 0 };
  // A start that was under way when the stop came.
  if (life.state === 'draining') return terminate(running, limits);
  return next(
    running,
    { do: 'set-timer', name: 'start-deadline', afterMs: limits.startMs },
    { do: 'probe', everyMs: limits.probeStartingIntervalMs, refusedEveryMs: limits.probeIntervalMs },
  );
}

function startFailed(life: Life, failure: Failure, chance: number, limits: Limits): Step {
  const absent: Life = { ...life, process: 'absent' };
  if (life.state === 'draining') return next({ ...absent, state: 'stopped' }, { do: 'exit' });
  if (!failure.isTransient) return fail(absent, failure.report);
  const afterMs = backoffMs(life.failedStarts, limits, () => chance);
  const waiting: Life = { ...absent, failedStarts: life.failedStarts + 1, report: failure.report };
  return next(waiting, { do: 'report', report: failure.report }, { do: 'set-timer', name: 'restart-due', afterMs });
}

function exited(life: Life, event: Event & { type: 'app-exited' }, limits: Limits): Step {
  const gone: Life = { ...life, process: 'absent', verdict: unproven };
  if (life.state === 'draining') return next({ ...gone, state: 'stopped' }, { do: 'cancel-timer', name: 'kill-due' }, { do: 'exit' });
  if (life.app === undefined) return same(gone);
  const exitsMs = [...life.exitsMs.filter((atMs) => event.atMs - atMs <= limits.crashLoopWindowMs), event.atMs];
  const decision = decideRestart({ ...event, entryPoint: life.app.entryPoint, exitsMs }, limits, () => event.chance);
  const cancel: Effect = { do: 'cancel-timer', name: 'start-deadline' };
  if (decision.do === 'give-up') {
    const { life: failed, effects } = fail(gone, decision.report);
    return next(failed, cancel, ...effects);
  }
  // A start that was ended for its deadline keeps that as its reason.
  const report = life.process === 'ending' && life.report !== undefined ? life.report : decision.report;
  const waiting: Life = { ...gone, state: 'starting', exitsMs, report };
  return next(waiting, cancel, { do: 'report', report }, { do: 'set-timer', name: 'restart-due', afterMs: decision.afterMs });
}

function probed(life: Life, { isGood, detail }: Event & { type: 'probed' }, limits: Limits): Step {
  if (life.process !== 'running' || life.app === undefined || life.state === 'draining') return same(life);
  const verdict = judge(life.verdict, isGood, { rise: limits.probeRise, fall: limits.probeFall });
  const judged = { ...life, verdict };
  if (verdict.isUp && life.state !== 'ready') {
    const effects: Effect[] = [{ do: 'cancel-timer', name: 'start-deadline' }];
    return next({ ...judged, state: 'ready', report: undefined }, ...effects, {
      do: 'probe',
      everyMs: limits.probeIntervalMs,
      refusedEveryMs: limits.probeIntervalMs,
    });
  }
  if (!verdict.isUp && life.state === 'ready') {
    const { report } = new Failure('APP_UNHEALTHY', { path: life.app.healthPath, detail });
    return next({ ...judged, state: 'unready', report }, { do: 'report', report });
  }
  return same(judged);
}

function timeUp(life: Life, name: TimerName, limits: Limits): Step {
  if (name === 'restart-due')
    return life.state === 'starting' && life.process === 'absent' ? next({ ...life, process: 'starting' }, { do: 'start-app' }) : same(life);
  if (name === 'start-deadline') {
    if (life.state !== 'starting' || life.process !== 'running' || life.app === undefined) return same(life);
    const names = { path: life.app.healthPath, timeoutMs: limits.startMs, detail: 'still starting' };
    return next({ ...life, process: 'ending', report: new Failure('APP_START_TIMEOUT', names).report }, { do: 'kill-app' });
  }
  if (life.state !== 'draining') return same(life);
  if (name === 'settled') return life.process === 'running' ? terminate(life, limits) : same(life);
  return next(life, { do: 'kill-app' });
}

/** The first stop drains, the second ends the app now, the third kills it. */
function stop(life: Life, limits: Limits): Step {
  switch (life.state) {
    case 'booting':
      return next({ ...life, state: 'stopped' }, { do: 'stop-boot' }, { do: 'exit' });
    case 'failed':
      return next({ ...life, state: 'stopped' }, { do: 'exit' });
    case 'stopped':
      return same(life);
    case 'draining':
      if (life.process === 'running') return terminate(life, limits);
      return life.process === 'ending' ? next(life, { do: 'kill-app' }) : same(life);
    case 'ready':
    case 'unready':
      // Also when unready: a load balancer whose targets all fail sends to all of them.
      return next({ ...life, state: 'draining' }, { do: 'set-timer', name: 'settled', afterMs: limits.drainSettleMs });
    case 'starting': {
      const draining: Life = { ...life, state: 'draining' };
      if (life.process === 'running') return terminate(draining, limits);
      if (life.process !== 'absent') return same(draining);
      return next({ ...draining, state: 'stopped' }, { do: 'cancel-timer', name: 'restart-due' }, { do: 'exit' });
    }
  }
}

const terminate = (life: Life, limits: Limits): Step =>
  next(
    { ...life, process: 'ending' },
    { do: 'cancel-timer', name: 'settled' },
    { do: 'terminate-app' },
    { do: 'set-timer', name: 'kill-due', afterMs: (life.app?.gracefulTimeoutMs ?? 0) + limits.killMarginMs },
  );

const fail = (life: Life, report: CauseReport): Step => next({ ...life, state: 'failed', report }, { do: 'report', report });
const next = (life: Life, ...effects: Effect[]): Step => ({ life, effects });
const same = (life: Life): Step => ({ life, effects: [] });
