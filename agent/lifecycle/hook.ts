import type { Failure } from '../../contract/causes.ts';
import type { StateName } from '../../contract/status.ts';
import type { UserData } from '../../contract/user-data.ts';
import { fullJitterMs } from '../jitter.ts';
import type { Limits } from '../limits.ts';

/** One request to Auto Scaling: CompleteLifecycleAction with a result, or RecordLifecycleActionHeartbeat. */
export type Call = { readonly hook: 'launch' | 'terminate'; readonly ask: 'CONTINUE' | 'ABANDON' | 'heartbeat' };
/** `not-yet`: the group has not come to this hook, or is past it; Auto Scaling says the same of both. */
export type Answer = 'taken' | 'not-yet' | Failure;
/** What the agent learns on its way; progress: a phase of the boot has ended. */
export type News = StateName | 'progress' | 'Terminated';

/** Where this instance stands with the hooks of its group. Times are milliseconds since the start of the agent. All in this file is pure. */
export type Hooks = {
  readonly state: StateName;
  readonly wasReady: boolean;
  readonly isTerminating: boolean;
  readonly progressAtMs: number;
  readonly heartbeatAtMs: number;
  /** Completed, or given up. */
  readonly closed: readonly Call['hook'][];
  /** The call that was not taken: since when, how often, and when again. */
  readonly tries?: { readonly call: string; readonly sinceMs: number; readonly count: number; readonly againAtMs: number } | undefined;
};
export type HookTimes = Pick<UserData['times'], 'bootBudgetMs' | 'deregistrationDelayMs' | 'launchHeartbeatMs' | 'terminateHeartbeatMs'>;
export type HookLimits = Pick<Limits, 'startMs' | 'hookRetryBaseMs' | 'hookRetryCapMs'>;

export const newHooks: Hooks = { state: 'booting', wasReady: false, isTerminating: false, progressAtMs: 0, heartbeatAtMs: 0, closed: [] };

export function told(hooks: Hooks, news: News, nowMs: number): Hooks {
  if (news === 'progress') return { ...hooks, progressAtMs: nowMs };
  if (news === 'Terminated') return hooks.isTerminating ? hooks : { ...hooks, isTerminating: true, heartbeatAtMs: nowMs };
  return { ...hooks, state: news, wasReady: hooks.wasReady || news === 'ready' };
}

/**
 * What is to be asked of Auto Scaling now. CONTINUE for the launch follows the first ready, ABANDON what will not serve; CONTINUE for the end follows the app's.
 * A heartbeat goes at a third of the hook's time, so that one may be lost: during the drain, and during the start after each progress, up to boot budget and start
 * limit. Then the hook's default result ends the instance.
 */
export function nextCall(hooks: Hooks, times: HookTimes, { startMs }: HookLimits, nowMs: number): Call | undefined {
  const call = completion(hooks) ?? heartbeat(hooks, times, startMs, nowMs);
  const isEarly = call !== undefined && hooks.tries?.call === nameOf(call) && nowMs < hooks.tries.againAtMs;
  return isEarly ? undefined : call;
}

function completion({ state, wasReady, isTerminating, closed }: Hooks): Call | undefined {
  if (isTerminating) return state === 'stopped' && !closed.includes('terminate') ? { hook: 'terminate', ask: 'CONTINUE' } : undefined;
  if (closed.includes('launch') || state === 'draining') return undefined;
  if (state === 'failed' || state === 'stopped') return { hook: 'launch', ask: 'ABANDON' };
  return wasReady ? { hook: 'launch', ask: 'CONTINUE' } : undefined;
}

function heartbeat({ state, wasReady, isTerminating, progressAtMs, heartbeatAtMs, closed }: Hooks, times: HookTimes, startMs: number, nowMs: number) {
  const isDue = (everyMs: number) => nowMs - heartbeatAtMs >= everyMs / 3;
  if (isTerminating) return state === 'draining' && isDue(times.terminateHeartbeatMs) ? ({ hook: 'terminate', ask: 'heartbeat' } as const) : undefined;
  const isStarting = (state === 'booting' || state === 'starting') && !wasReady && !closed.includes('launch') && nowMs <= times.bootBudgetMs + startMs;
  return isStarting && progressAtMs > heartbeatAtMs && isDue(times.launchHeartbeatMs) ? ({ hook: 'launch', ask: 'heartbeat' } as const) : undefined;
}

const nameOf = ({ hook, ask }: Call): string => `${hook} ${ask}`;

/**
 * What follows from an answer. A call that is not taken is made again after full jitter; a completion until its budget is over, which closes the hook. The group may
 * come to `Terminating:Wait` a whole deregistration after the app has ended.
 */
export function answered(hooks: Hooks, call: Call, answer: Answer, times: HookTimes, limits: HookLimits, nowMs: number, chance: number): Hooks {
  if (call.ask === 'heartbeat' && typeof answer === 'string') return { ...hooks, heartbeatAtMs: nowMs, tries: undefined };
  const closed = { ...hooks, closed: [...hooks.closed, call.hook], tries: undefined };
  if (answer === 'taken') return closed;
  const { sinceMs, count } = hooks.tries?.call === nameOf(call) ? hooks.tries : { sinceMs: nowMs, count: 0 };
  const againAtMs = nowMs + fullJitterMs(count, limits.hookRetryBaseMs, limits.hookRetryCapMs, chance);
  const budgetMs = call.hook === 'launch' ? times.launchHeartbeatMs : times.deregistrationDelayMs + times.terminateHeartbeatMs;
  if (call.ask !== 'heartbeat' && againAtMs - sinceMs >= budgetMs) return closed;
  return { ...hooks, tries: { call: nameOf(call), sinceMs, count: count + 1, againAtMs } };
}
