import { type CauseReport, Failure } from '../contract/causes.ts';
import type { BootPhase } from '../contract/events.ts';
import type { StateName } from '../contract/status.ts';
import { type Exit, judgeExit } from './app/restart.ts';
import { fullJitterMs } from './jitter.ts';
import type { Limits } from './limits.ts';
import { judge, unproven, type Verdict } from './readiness/verdict.ts';

/** What the machine must know of the release that runs and of the balancer before it. */
export type AppFacts = {
  readonly entryPoint: string;
  readonly healthPath: string;
  readonly gracefulTimeoutMs: number;
  /** From not ready until the balancer sends nothing new. */
  readonly settleMs: number;
  /** From not ready until the balancer has let go of every connection. */
  readonly drainMs: number;
};

/** One agent's life so far. `report` is why it is not ready, while there is a reason. */
export type Life = {
  readonly state: StateName;
  /** While it boots: the phase, and the time the boot has. */
  readonly phase: BootPhase | 'its start';
  readonly budgetMs: number;
  readonly app: AppFacts | undefined;
  /** gunicorn's process: `starting` until it is spawned, `ending` once it was told to end. */
  readonly process: 'absent' | 'starting' | 'running' | 'ending';
  readonly verdict: Verdict;
  /** What the last probe met. */
  readonly answer: string;
  /** Starts in a row that did not last: the next wait grows with them. */
  readonly failures: number;
  /** When gunicorn ended by itself, within the crash-loop window. */
  readonly exitsMs: readonly number[];
  readonly report: CauseReport | undefined;
  /** The group or Spot takes this instance: once it has drained, the agent stays and goes on answering until it is told to stop. */
  readonly isLeaving: boolean;
};

export type TimerName = 'boot-deadline' | 'start-deadline' | 'restart-due' | 'stable' | 'hung' | 'settled' | 'drain-deadline' | 'kill-due';

/** Times are monotonic milliseconds; `chance` in [0, 1) is the jitter's, so that deciding stays pure. */
export type Event =
  | { readonly type: 'budget'; readonly ms: number }
  | { readonly type: 'phase'; readonly phase: BootPhase }
  | { readonly type: 'booted'; readonly app: AppFacts }
  | { readonly type: 'boot-failed'; readonly report: CauseReport }
  | { readonly type: 'app-started' }
  | { readonly type: 'start-failed'; readonly failure: Failure; readonly chance: number }
  | { readonly type: 'app-exited'; readonly exit: Exit; readonly tail: readonly string[]; readonly atMs: number; readonly chance: number }
  /** The kernel ended processes of the app for want of memory. */
  | { readonly type: 'oom-killed'; readonly atMs: number }
  | { readonly type: 'probed'; readonly isGood: boolean; readonly detail: string }
  | { readonly type: 'timer'; readonly name: TimerName }
  | { readonly type: 'connections-gone' }
  /** A scale-in or a Spot notice: it drains as for a stop. More of them, or one during a drain, hurry nothing. */
  | { readonly type: 'leave' }
  /** A signal: it ends the agent, which says nothing of the instance. */
  | { readonly type: 'stop' };

/** Setting a timer replaces the one of its name; none is cancelled, one that comes late changes nothing. */
export type Effect =
  | { readonly do: 'start-app' | 'terminate-app' | 'kill-app' | 'stop-boot' | 'watch-connections' | 'exit' }
  | { readonly do: 'probe'; readonly pace: 'starting' | 'steady' | 'none' }
  | { readonly do: 'set-timer'; readonly name: TimerName; readonly afterMs: number }
  | { readonly do: 'report'; readonly report: CauseReport };

export type Step = { readonly life: Life; readonly effects: readonly Effect[] };

export const newLife: Life = {
  state: 'booting',
  phase: 'its start',
  budgetMs: 0,
  app: undefined,
  process: 'absent',
  verdict: unproven,
  answer: 'not asked yet',
  failures: 0,
  exitsMs: [],
  report: undefined,
  isLeaving: false,
};

/** What follows from one event: the next life and what to do, in order. An event that does not fit the state changes nothing. */
export function step(life: Life, event: Event, limits: Limits): Step {
  switch (event.type) {
    case 'budget':
      return life.state === 'booting' ? next({ ...life, budgetMs: event.ms }, timer('boot-deadline', event.ms + limits.bootMarginMs)) : same(life);
    case 'phase':
      return life.state === 'booting' ? next({ ...life, phase: event.phase }) : same(life);
    case 'booted':
      return life.state === 'booting' ? next({ ...life, state: 'starting', process: 'starting', app: event.app }, { do: 'start-app' }) : same(life);
    case 'boot-failed':
      return life.state === 'booting' ? fail(life, event.report) : same(life);
    case 'app-started':
      return life.process === 'starting' ? started(life, limits) : same(life);
    case 'start-failed':
      return life.process === 'starting' ? startFailed({ ...life, process: 'absent' }, event, limits) : same(life);
    case 'app-exited':
      return life.process === 'running' || life.process === 'ending' ? exited(life, event, limits) : same(life);
    case 'oom-killed':
      return life.state === 'starting' && life.process === 'running' ? oomKilled(life, event.atMs, limits) : same(life);
    case 'probed':
      return probed(life, event, limits);
    case 'timer':
      return timeUp(life, event.name, limits);
    case 'connections-gone':
      return life.state === 'draining' && life.process === 'running' ? terminate(life, limits) : same(life);
    case 'leave':
      return life.state === 'draining' || life.state === 'stopped' ? same(life) : stop({ ...life, isLeaving: true }, limits);
    case 'stop':
      if (life.state === 'stopped') return life.isLeaving ? end({ ...life, isLeaving: false }) : same(life);
      return stop({ ...life, isLeaving: false }, limits);
  }
}

function started(life: Life, limits: Limits): Step {
  const running: Life = { ...life, process: 'running' };
  // A start that was under way when the stop came.
  if (life.state === 'draining') return terminate(running, limits);
  return next(running, timer('start-deadline', limits.startMs), { do: 'probe', pace: 'starting' });
}

function startFailed(life: Life, { failure, chance }: Event & { type: 'start-failed' }, limits: Limits): Step {
  if (life.state === 'draining') return end(life);
  if (!failure.isTransient) return fail(life, failure.report);
  const { life: waiting, effects } = startLater({ ...life, report: failure.report }, chance, limits);
  return next(waiting, { do: 'report', report: failure.report }, ...effects);
}

function exited(life: Life, { exit, tail, atMs, chance }: Event & { type: 'app-exited' }, limits: Limits): Step {
  const gone: Life = { ...life, process: 'absent', verdict: unproven };
  if (life.state === 'draining') return end(gone);
  // It was told to end, for a reason that was reported then.
  if (life.process === 'ending')
    return life.report !== undefined && life.exitsMs.length >= limits.crashLoopCount ? fail(gone, life.report) : startLater(gone, chance, limits);
  const exitsMs = crashes(life, atMs, limits);
  const { isFinal, report } = judgeExit({ exit, tail, entryPoint: life.app?.entryPoint ?? '', exitsMs }, limits);
  if (isFinal) return fail(gone, report, { do: 'probe', pace: 'none' });
  const { life: waiting, effects } = startLater({ ...gone, exitsMs, report }, chance, limits);
  return next(waiting, { do: 'report', report }, ...effects);
}

const crashes = (life: Life, atMs: number, { crashLoopWindowMs }: Limits) => [...life.exitsMs.filter((exitMs) => atMs - exitMs <= crashLoopWindowMs), atMs];

/** gunicorn replaces a worker that the kernel ended, without end: while it has never answered, that is a crash loop of its own. */
function oomKilled(life: Life, atMs: number, limits: Limits): Step {
  const exitsMs = crashes(life, atMs, limits);
  if (exitsMs.length < limits.crashLoopCount) return next({ ...life, exitsMs });
  const { report } = new Failure('APP_OUT_OF_MEMORY', { count: exitsMs.length, windowMs: limits.crashLoopWindowMs });
  const { life: ending, effects } = terminate({ ...life, exitsMs, report }, limits, 0);
  return next(ending, ...effects);
}

function probed(life: Life, { isGood, detail }: Event & { type: 'probed' }, limits: Limits): Step {
  if (life.process !== 'running' || life.app === undefined || life.state === 'draining') return same(life);
  const verdict = judge(life.verdict, isGood, { rise: limits.probeRise, fall: limits.probeFall });
  const judged = { ...life, verdict, answer: detail };
  if (verdict.isUp && life.state !== 'ready') {
    return next({ ...judged, state: 'ready', report: undefined }, timer('stable', limits.stableMs), { do: 'probe', pace: 'steady' });
  }
  if (!verdict.isUp && life.state === 'ready') {
    const { report } = new Failure('APP_UNHEALTHY', { path: life.app.healthPath, detail });
    return next({ ...judged, state: 'unready', report }, { do: 'report', report }, timer('hung', limits.hungMs));
  }
  if (!isGood && life.state === 'unready') {
    const { report } = new Failure('APP_UNHEALTHY', { path: life.app.healthPath, detail });
    return next({ ...judged, report });
  }
  // Slow is not hung.
  if (isGood && life.state === 'unready') return next(judged, timer('hung', limits.hungMs));
  return same(judged);
}

function timeUp(life: Life, name: TimerName, limits: Limits): Step {
  const { state, process, app } = life;
  if (app === undefined) {
    if (name !== 'boot-deadline' || state !== 'booting') return same(life);
    return fail(life, new Failure('BOOT_TIMEOUT', { budgetMs: life.budgetMs, phase: life.phase }).report, { do: 'stop-boot' });
  }
  const isRunning = process === 'running';
  switch (name) {
    case 'restart-due':
      return state === 'starting' && process === 'absent' ? next({ ...life, process: 'starting' }, { do: 'start-app' }) : same(life);
    case 'start-deadline': {
      if (state !== 'starting' || !isRunning) return same(life);
      const { report } = new Failure('APP_START_TIMEOUT', { path: app.healthPath, timeoutMs: limits.startMs, detail: life.answer });
      // It serves nobody yet: no grace.
      const { life: ending, effects } = terminate({ ...life, report }, limits, 0);
      return next(ending, { do: 'report', report }, ...effects);
    }
    case 'stable':
      return state === 'ready' ? next({ ...life, failures: 0, exitsMs: [] }) : same(life);
    case 'hung':
      return state === 'unready' && isRunning ? terminate(life, limits) : same(life);
    case 'settled':
      return state === 'draining' && isRunning ? next(life, { do: 'watch-connections' }) : same(life);
    case 'drain-deadline':
      return state === 'draining' && isRunning ? terminate(life, limits) : same(life);
    case 'kill-due':
      return process === 'ending' ? next(life, { do: 'kill-app' }) : same(life);
    default:
      return same(life);
  }
}

/** The first stop drains, the second ends the app now, the third kills it. */
function stop(life: Life, limits: Limits): Step {
  const { state, process, app } = life;
  if (state === 'booting') return end(life, { do: 'stop-boot' });
  if (process === 'absent' || app === undefined) return end(life);
  if (state === 'draining') {
    if (process === 'running') return terminate(life, limits);
    return process === 'ending' ? next(life, { do: 'kill-app' }) : same(life);
  }
  const draining: Life = { ...life, state: 'draining' };
  // What is starting is ended when it has started; what is ending, ends.
  if (process !== 'running') return next(draining);
  if (state === 'starting') return terminate(draining, limits);
  // Also when unready: a load balancer whose targets all fail sends to all of them.
  return next(draining, { do: 'probe', pace: 'none' }, timer('settled', app.settleMs), timer('drain-deadline', app.drainMs));
}

const terminate = (life: Life, limits: Limits, graceMs = life.app?.gracefulTimeoutMs ?? 0): Step =>
  next({ ...life, process: 'ending' }, { do: 'probe', pace: 'none' }, { do: 'terminate-app' }, timer('kill-due', graceMs + limits.killMarginMs));

function startLater(life: Life, chance: number, { restartBaseMs, restartCapMs }: Limits): Step {
  // What lasted until now is most likely to last again: only what follows a failure waits.
  const afterMs = life.failures === 0 ? 0 : fullJitterMs(life.failures - 1, restartBaseMs, restartCapMs, chance);
  return next({ ...life, state: 'starting', failures: life.failures + 1 }, { do: 'probe', pace: 'none' }, timer('restart-due', afterMs));
}

const timer = (name: TimerName, afterMs: number): Effect => ({ do: 'set-timer', name, afterMs });
const fail = (life: Life, report: CauseReport, ...effects: Effect[]): Step => next({ ...life, state: 'failed', report }, { do: 'report', report }, ...effects);
const end = (life: Life, ...effects: Effect[]): Step => next({ ...life, state: 'stopped' }, ...effects, ...(life.isLeaving ? [] : [{ do: 'exit' } as const]));
const next = (life: Life, ...effects: Effect[]): Step => ({ life, effects });
const same = (life: Life): Step => ({ life, effects: [] });
