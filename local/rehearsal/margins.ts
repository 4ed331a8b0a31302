import type { Infrastructure } from '../../contract/infrastructure.ts';
import type { Settings } from '../../pipeline/settings.ts';

/** AWS's slack, scaled from minutes to seconds; the rehearsal prints all of it. */
export const pace = { pollMs: 500, smokeEveryMs: 250, patienceMs: 180_000, bakeMs: 1_000, stopMs: 1_000, warmUpMs: 500, bootMs: 3_000 } as const;
export const smoke = { 'budget-seconds': 4 } as const;
export const agentLimits = { ...{ probeIntervalMs: 500, restartBaseMs: 100, restartCapMs: 500, crashLoopCount: 4, connectionsEveryMs: 100 } } as const;

/** Of the target group, the group and the hooks; what depends on the app's gunicorn follows it. */
export function timesFor({ gunicorn }: Settings): Infrastructure['times'] {
  const healthIntervalMs = 500;
  const gracefulMs = 1_000 * gunicorn.gracefulTimeoutSeconds;
  const idleTimeoutMs = 1_000 * Math.min(60, gunicorn.keepAliveSeconds - 1);
  return {
    ...{ bootBudgetMs: 60_000, launchHeartbeatMs: 90_000, terminateHeartbeatMs: 90_000, warmUpMs: 2_000, graceMs: 5_000 },
    ...{
      healthIntervalMs,
      idleTimeoutMs,
      deregistrationDelayMs: gracefulMs,
      stopTimeoutMs: Math.max(3 * healthIntervalMs, gracefulMs) + gracefulMs + pace.stopMs,
    },
  };
}

/** Two checks fail, and the second one's own time-out. */
export const noticeMs = 2_000;

/** Of our Auto Scaling, where AWS has seconds. */
export const timers = { tickMs: 200, untilPendingWaitMs: 200, untilTerminatingWaitMs: 200, relaunchPauseMs: 500 } as const;

/**
 * Each instance in turn: its boot, the balancer's first check of it, its warm-up, and the group's next look. Then the last old one's drain: three
 * checks until the balancer has let go of it, and its hook. Then the bake.
 */
export function timersSeconds(instances: number, { warmUpMs, healthIntervalMs }: Infrastructure['times'], bootsMs: readonly number[]): number {
  const bootMs = bootsMs.toSorted((a, b) => a - b)[Math.floor(bootsMs.length / 2)] ?? 0;
  const replacedMs = instances * (bootMs + healthIntervalMs + warmUpMs + timers.tickMs);
  const drainedMs = 3 * healthIntervalMs + timers.untilTerminatingWaitMs + timers.tickMs;
  return (replacedMs + drainedMs + 1_000 * smoke['budget-seconds'] + pace.bakeMs) / 1_000;
}
