import { type CauseReport, Failure } from '../../contract/causes.ts';
import type { Limits } from '../limits.ts';
import { lastWords } from './last-words.ts';

/** How a process ended: its exit status or the signal that ended it; `wasKilled` when pinion sent SIGKILL, `wasOutOfMemory` when the kernel ended a process of it for want of memory. */
export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly wasKilled?: boolean; readonly wasOutOfMemory?: boolean };

export const sayExit = ({ code, signal, wasOutOfMemory }: Exit): string =>
  `${signal === null ? `exit status ${code}` : signal}${wasOutOfMemory ? ', out of memory' : ''}`;

type Facts = { readonly exit: Exit; readonly entryPoint: string; readonly tail: readonly string[]; readonly exitsMs: readonly number[] };
export type ExitVerdict = { readonly isFinal: boolean; readonly report: CauseReport };

/**
 * What it means that gunicorn has ended by itself, and whether another start could mend it. `exitsMs` are the times of such exits in the window, this one included.
 * Exit 4 is a missing app object and 2 a refused flag (gunicorn 27: Arbiter.APP_LOAD_ERROR; argparse): no retry mends those.
 * Exit 3 (a worker that failed to boot) may be a database that is down, so it counts as a crash.
 *
 * Two workers that fail together make gunicorn 27 end with 1 instead of their status (the second raises inside Arbiter.halt()): then its log says it.
 */
export function judgeExit({ exit, entryPoint, tail, exitsMs }: Facts, { crashLoopCount, crashLoopWindowMs }: Limits): ExitVerdict {
  const final = (failure: Failure) => ({ isFinal: true, report: failure.report });
  const isObjectMissing = exit.code === 4 || (exit.code === 1 && tail.some((line) => /Worker \(pid:\d+\) exited with code 4/.test(line)));
  const words = exit.code === null ? undefined : lastWords(tail);
  if (isObjectMissing || isModuleOf(entryPoint, words)) return final(new Failure('APP_OBJECT_MISSING', { entryPoint }));
  if (exit.code === 2) return final(new Failure('APP_SETTINGS_INVALID', { detail: tail.at(-1) ?? 'it said nothing' }));
  // What it said before a signal from outside is not the reason.
  const how = words === undefined ? sayExit(exit) : `${sayExit(exit)}: ${words}`;
  if (exitsMs.length < crashLoopCount) return { isFinal: false, report: new Failure('APP_EXITED', { exit: how }).report };
  return final(new Failure('APP_CRASH_LOOP', { count: exitsMs.length, windowMs: crashLoopWindowMs, exit: how }));
}

/** Whether it is the entry point's own module, or a package above it, that Python did not find. */
function isModuleOf(entryPoint: string, words: string | undefined): boolean {
  const missing = /^ModuleNotFoundError: No module named '([\w.]+)'$/.exec(words ?? '')?.[1];
  const module = entryPoint.split(':')[0] ?? '';
  return missing !== undefined && (module === missing || module.startsWith(`${missing}.`));
}
