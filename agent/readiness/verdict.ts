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

/** Why a good verdict is no longer to be believed: the last probe ended too long ago, so the agent was stopped or starved. */
export function staleness(
  agoMs: number,
  path: string,
  { probeIntervalMs, probeStaleIntervals }: Pick<Limits, 'probeIntervalMs' | 'probeStaleIntervals'>,
): CauseReport | undefined {
  return agoMs > probeStaleIntervals * probeIntervalMs ? new Failure('PROBE_STALE', { path, ageMs: Math.round(agoMs) }).report : undefined;
}
