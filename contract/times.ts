import type { UserData } from './user-data.ts';

/** What AWS needs beyond the bare arithmetic (the rehearsal scales them): slack of a bake, of a stop, of a warm-up. */
export const margins = { bakeMs: 120_000, stopMs: 15_000, warmUpMs: 10_000 } as const;
export type Margins = { readonly [Name in keyof typeof margins]: number };

type Times = UserData['times'];
/** What of gunicorn's settings must fit the infrastructure's times. */
export type AppTimes = { readonly keepAliveMs: number; readonly gracefulTimeoutMs: number };

/** Every inequality between the times that does not hold, in words with the numbers; none when all fit. Pure. */
export function unfitTimes(times: Times, app: AppTimes, { stopMs, warmUpMs }: Margins): readonly string[] {
  const drainMs = Math.max(3 * times.healthIntervalMs, times.deregistrationDelayMs);
  const firstChecksMs = 2 * times.healthIntervalMs + warmUpMs;
  const rows: readonly (readonly [name: string, leftMs: number, needs: string, rightMs: number, fits: boolean])[] = [
    ["gunicorn's keep-alive", app.keepAliveMs, 'longer than idleTimeoutMs', times.idleTimeoutMs, app.keepAliveMs > times.idleTimeoutMs],
    [
      'deregistrationDelayMs',
      times.deregistrationDelayMs,
      "at least gunicorn's graceful timeout",
      app.gracefulTimeoutMs,
      times.deregistrationDelayMs >= app.gracefulTimeoutMs,
    ],
    ['warmUpMs', times.warmUpMs, 'at least two health checks and the margin', firstChecksMs, times.warmUpMs >= firstChecksMs],
    ['graceMs', times.graceMs, 'at least two health checks and the margin', firstChecksMs, times.graceMs >= firstChecksMs],
    ['launchHeartbeatMs', times.launchHeartbeatMs, 'longer than bootBudgetMs', times.bootBudgetMs, times.launchHeartbeatMs > times.bootBudgetMs],
    [
      'stopTimeoutMs',
      times.stopTimeoutMs,
      "at least the drain, gunicorn's graceful timeout and the margin",
      drainMs + app.gracefulTimeoutMs + stopMs,
      times.stopTimeoutMs >= drainMs + app.gracefulTimeoutMs + stopMs,
    ],
  ];
  return rows.flatMap(([name, leftMs, needs, rightMs, fits]) => (fits ? [] : [`${name} is ${leftMs} ms and must be ${needs}, ${rightMs} ms`]));
}
