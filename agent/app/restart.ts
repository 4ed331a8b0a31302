import { type CauseReport, Failure } from '../../contract/causes.ts';
import type { Limits } from '../limits.ts';

/** How a process ended: its exit status or the signal that ended it. */
export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

export const sayExit = ({ code, signal }: Exit): string => (signal === null ? `exit status ${code}` : signal);

export type Restart =
  | { readonly do: 'restart'; readonly afterMs: number; readonly report: CauseReport }
  | { readonly do: 'give-up'; readonly report: CauseReport };

type Facts = { readonly exit: Exit; readonly entryPoint: string; readonly tail: readonly string[]; readonly exitsMs: readonly number[] };

/**
 * What follows when gunicorn has ended by itself. `exitsMs` are the times of its exits so far, this one included.
 * Exit 4 is a missing app object and 2 a refused flag (gunicorn 27: Arbiter.APP_LOAD_ERROR; argparse): no retry mends those.
 * Exit 3 (a worker that failed to boot) may be a database that is down, so it counts as a crash.
 *
 * Two workers that fail together make gunicorn 27 end with 1 instead of their status (the second raises inside Arbiter.halt()): then its log says it.
 */
export function decideRestart({ exit, entryPoint, tail, exitsMs }: Facts, limits: Limits, random: () => number): Restart {
  const isObjectMissing = exit.code === 4 || (exit.code === 1 && tail.some((line) => /Worker \(pid:\d+\) exited with code 4/.test(line)));
  if (isObjectMissing) return { do: 'give-up', report: new Failure('APP_OBJECT_MISSING', { entryPoint }).report };
  if (exit.code === 2) return { do: 'give-up', report: new Failure('APP_SETTINGS_INVALID', { detail: tail.at(-1) ?? 'it said nothing' }).report };
  const now = exitsMs.at(-1) ?? 0;
  const recent = exitsMs.filter((atMs) => now - atMs <= limits.crashLoopWindowMs);
  if (recent.length >= limits.crashLoopCount) {
    const names = { count: recent.length, windowMs: limits.crashLoopWindowMs, exit: sayExit(exit) };
    return { do: 'give-up', report: new Failure('APP_CRASH_LOOP', names).report };
  }
  return { do: 'restart', afterMs: backoffMs(recent.length, limits, random), report: new Failure('APP_EXITED', { exit: sayExit(exit) }).report };
}

/** Half of an exponential wait plus up to as much by chance: milliseconds before start number `failures + 1`. */
export function backoffMs(failures: number, limits: Pick<Limits, 'restartBaseMs' | 'restartCapMs'>, random: () => number): number {
  const ceiling = Math.min(limits.restartCapMs, limits.restartBaseMs * 2 ** Math.min(failures, 20));
  return Math.round(ceiling / 2 + (random() * ceiling) / 2);
}
