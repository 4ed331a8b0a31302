/** Probes in a row with the same answer, and what they amount to. */
export type Verdict = { readonly isUp: boolean; readonly streak: number };

export const unproven: Verdict = { isUp: false, streak: 0 };

/** Hysteresis: `rise` good probes in a row make it up, `fall` bad ones down; a single odd one changes nothing. */
export function judge(before: Verdict, isGood: boolean, { rise, fall }: { readonly rise: number; readonly fall: number }): Verdict {
  if (isGood === before.isUp) return { ...before, streak: 0 };
  const streak = before.streak + 1;
  return streak >= (isGood ? rise : fall) ? { isUp: isGood, streak: 0 } : { ...before, streak };
}
