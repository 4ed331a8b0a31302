import { type CauseReport, Failure } from '../../contract/causes.ts';
import type { Limits } from '../limits.ts';

/** Probes in a row with the same answer, and what they amount to. */
export type Verdict = { readonly isUp: boolean; readonly streak: number };

export const unproven: Verdict = { isUp: false, streak: 0 };

/** Hysteresis: `rise` good probes in a row make it up, `fall` bad ones down; a single odd one changes nothing. */
export function judge(before: Verdict, isGood: boolean, { rise, fall }: { readonly rise: number; readonly fall: number }): Verdict {
  if (isGood === before.isUp) return { ...before, streak: 0 };
  const streak = before.streak + 1;
  return streak >= (isGood ? rise : fall) ? { isUp: isGood, streak: 0 } : { ...before, streak };
}

/**
 * Why a good verdict is no longer to be believed: nobody asked for too long, or too long ago came a good answer, longer than a fall takes: the agent was stopped or
 * starved. Times in milliseconds since the last probe and the last good one.
 */
export function staleness(
  { probedMs, goodMs }: { readonly probedMs: number; readonly goodMs: number },
  path: string,
  { probeIntervalMs, probeTimeoutMs, probeStaleIntervals, probeFall }: Limits,
): CauseReport | undefined {
  const isStale = probedMs > probeStaleIntervals * probeIntervalMs || goodMs > probeFall * (probeIntervalMs + probeTimeoutMs);
  return isStale ? new Failure('PROBE_STALE', { path, ageMs: Math.round(goodMs) }).report : undefined;
}
