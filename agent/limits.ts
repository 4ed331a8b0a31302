import { Failure } from '../contract/causes.ts';

/** Every time, size and count that bounds the agent. Tests scale them; on a host the defaults and the user data's `times` hold. */
export const defaultLimits = {
  /** Until the user data names its own budget. */
  bootBudgetMs: 300_000,
  imdsTimeoutMs: 1_000,
  imdsTokenSeconds: 21_600,
  connectTimeoutMs: 2_000,
  requestTimeoutMs: 10_000,
  /** Full jitter: a wait is uniform in [0, min(cap, base × 2^attempt)]. */
  retryBaseMs: 200,
  retryCapMs: 20_000,
  /** A body slower than the floor over one window is cut and resumed by range. */
  stallWindowMs: 5_000,
  stallFloorBytesPerSecond: 50_000,
  downloadConnections: 12,
  startMs: 120_000,
  probeTimeoutMs: 2_000,
  probeIntervalMs: 2_000,
  /** While the app starts, so that ready follows the first answer closely. */
  probeStartingIntervalMs: 10,
  probeRise: 2,
  probeFall: 3,
  restartBaseMs: 500,
  restartCapMs: 30_000,
  crashLoopCount: 5,
  crashLoopWindowMs: 120_000,
  /** Added to the app's graceful timeout before SIGKILL. */
  killMarginMs: 5_000,
  /** Traffic goes on this long after readiness went red, so that the load balancer has noticed. */
  drainSettleMs: 5_000,
} as const;

export type Limits = { readonly [Name in keyof typeof defaultLimits]: number };

/** Limits with those of a JSON object in `text` laid over them; throws SETTING_INVALID. */
export function readLimits(text: string | undefined): Limits {
  if (text === undefined) return defaultLimits;
  const invalid = (problem: string) => new Failure('SETTING_INVALID', { setting: 'PINION_LIMITS', problem });
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw invalid('not JSON');
  }
  if (typeof given !== 'object' || given === null) throw invalid('not an object');
  for (const [name, value] of Object.entries(given)) {
    if (!(name in defaultLimits)) throw invalid(`${name} is not a limit`);
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw invalid(`${name} is not a whole number`);
  }
  return { ...defaultLimits, ...given };
}
