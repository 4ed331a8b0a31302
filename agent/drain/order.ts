import type { UserData } from '../../contract/user-data.ts';
import type { Limits } from '../limits.ts';

/** A target is unhealthy after two failing checks (AWS: target group health checks, the lowest threshold); the third interval is slack. */
const checksUntilNoticed = 3;

/**
 * How long a drain goes on serving, from not ready: `settleMs` until the balancer sends nothing new, and up to `drainMs`, its deregistration delay, for the
 * connections it still has. Pure.
 */
export function drainTimes(times: Pick<UserData['times'], 'healthIntervalMs' | 'deregistrationDelayMs'>, limits: Pick<Limits, 'drainSettleMs'>) {
  return { settleMs: Math.min(limits.drainSettleMs, checksUntilNoticed * times.healthIntervalMs), drainMs: times.deregistrationDelayMs };
}

/** What a drain takes at most: to its deadline, the app's grace, and a kill that works at the second time. More time than this nobody is asked for. Pure. */
export const longestDrainMs = (
  { settleMs, drainMs, gracefulTimeoutMs }: { readonly settleMs: number; readonly drainMs: number; readonly gracefulTimeoutMs: number },
  { killMarginMs }: Pick<Limits, 'killMarginMs'>,
): number => Math.max(settleMs, drainMs) + gracefulTimeoutMs + 2 * killMarginMs;
