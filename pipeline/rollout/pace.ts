import { Failure } from '../../contract/causes.ts';
import { type Margins, margins } from '../../contract/times.ts';

/** Every time of a rollout that is the CLI's own, with what it is for. The rehearsal scales them by `PINION_PACE`, a JSON object. */
export const paceRows = {
  pollMs: [5_000, 'between two looks at a rollout'],
  slowestPollMs: [60_000, 'the same after AWS has throttled or not answered'],
  smokeEveryMs: [1_000, 'between two rounds of smoke'],
  smokeTimeoutMs: [10_000, 'one request of smoke'],
  patienceMs: [3_600_000, 'beyond three times what the timers need, before the command stops watching: AWS tries a failing replacement for an hour'],
  bootMs: [60_000, 'a boot, in the estimate of a deploy'],
  bakeMs: [margins.bakeMs, 'bake time beyond the budget of smoke'],
  stopMs: [margins.stopMs, "the stop timeout's slack"],
  warmUpMs: [margins.warmUpMs, "the warm-up's and grace period's slack"],
} as const satisfies Readonly<Record<keyof Margins | string, readonly [value: number, says: string]>>;

export type Pace = { readonly [Name in keyof typeof paceRows]: number };

/** Throws SETTING_INVALID. */
export function readPace(env: NodeJS.ProcessEnv): Pace {
  const fallback = Object.fromEntries(Object.entries(paceRows).map(([name, [value]]) => [name, value])) as Pace;
  const invalid = (problem: string) => new Failure('SETTING_INVALID', { setting: 'PINION_PACE', problem });
  if (!env.PINION_PACE) return fallback;
  let given: unknown;
  try {
    given = JSON.parse(env.PINION_PACE);
  } catch {
    throw invalid('not JSON');
  }
  for (const [name, value] of Object.entries(given ?? {})) {
    if (!Object.hasOwn(fallback, name)) throw invalid(`${name} is no time of a rollout`);
    if (!Number.isInteger(value) || value < 0) throw invalid(`${name} is not a whole number of milliseconds`);
  }
  return { ...fallback, ...(given as Partial<Pace>) };
}
