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
