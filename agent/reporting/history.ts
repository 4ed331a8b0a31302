import type { CauseReport } from '../../contract/causes.ts';
import type { BootPhase } from '../../contract/events.ts';
import type { PastCause, Status } from '../../contract/status.ts';
import type { ProbeResult } from '../readiness/probe.ts';

const keptCauses = 10;
const keptProbes = 5;

/** What an agent remembers of its life for `pinion-agent status`; bounded. */
export type History = ReturnType<typeof createHistory>;

/** `now` gives monotonic milliseconds. */
export function createHistory(now: () => number) {
  const causes: PastCause[] = [];
  const probes: (ProbeResult & { readonly atMs: number })[] = [];
  const phasesMs: Partial<Record<BootPhase, number>> = {};
  let identity: Pick<Status, 'app' | 'env' | 'instance'> = { instance: '' };
  let stateAtMs = 0;
  let goodAtMs: number | undefined;
  let starts = 0;
  let workersReplaced = 0;
  let gunicorn: { pid: number; workers: readonly number[] } | undefined;

  return {
    identified({ app, env, instance }: Required<typeof identity>): void {
      identity = { app, env, instance };
    },
    stateChanged(): void {
      stateAtMs = now();
    },
    phaseEnded(phase: BootPhase, ms: number): void {
      phasesMs[phase] = ms;
    },
    happened(report: CauseReport): void {
      const at = new Date().toISOString();
      const last = causes[0];
      if (last?.sentence === report.sentence) causes[0] = { ...last, count: last.count + 1, lastAt: at };
      else if (causes.unshift({ ...report, count: 1, firstAt: at, lastAt: at }) > keptCauses) causes.pop();
    },
    probed(result: ProbeResult): void {
      if (result.isGood) goodAtMs = now();
      if (probes.unshift({ ...result, atMs: now() }) > keptProbes) probes.pop();
    },
    /** Whether it was a restart. */
    appStarted(pid: number): boolean {
      gunicorn = { pid, workers: [] };
      probes.length = 0;
      goodAtMs = undefined;
      return ++starts > 1;
    },
    appExited(): void {
      gunicorn = undefined;
    },
    /** Which of the workers seen before have been replaced since. None at all is no answer: gunicorn is ending, or between two. */
    workersSeen(workers: readonly number[]): readonly number[] {
      if (gunicorn === undefined || workers.length === 0) return [];
      const replaced = gunicorn.workers.filter((pid) => !workers.includes(pid));
      gunicorn.workers = workers;
      workersReplaced += replaced.length;
      return replaced;
    },
    /** Milliseconds since the last probe of this start, and since the last good one; 0 before the first. */
    sinceProbes: () => ({ probedMs: now() - (probes[0]?.atMs ?? now()), goodMs: now() - (goodAtMs ?? now()) }),
    read: () =>
      ({
        ...identity,
        inStateMs: Math.round(now() - stateAtMs),
        phasesMs,
        ...(gunicorn !== undefined && { gunicorn }),
        restarts: Math.max(0, starts - 1),
        workersReplaced,
        probes: probes.map(({ atMs, isGood, detail, latencyMs }) => ({ agoMs: Math.round(now() - atMs), isGood, detail, latencyMs: Math.round(latencyMs) })),
        causes,
      }) satisfies Partial<Status>,
  };
}
