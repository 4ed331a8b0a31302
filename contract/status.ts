import type { CauseReport } from './causes.ts';
import type { BootPhase } from './events.ts';

export type StateName = 'booting' | 'starting' | 'ready' | 'unready' | 'draining' | 'stopped' | 'failed';

/** Body of `GET /readyz`: 200 only in `ready` and without a cause. Judges this host alone. */
export type Readiness = { readonly state: StateName; readonly phase?: BootPhase; readonly release?: number; readonly commit?: string } & Partial<CauseReport>;

/** Something that went wrong, also when it has passed; the same thing again in a row is counted. Times are ISO 8601. */
export type PastCause = CauseReport & { readonly count: number; readonly firstAt: string; readonly lastAt: string };

/** The full status, on the agent's unix socket only: config names and versions, never values. Lists begin with the newest. */
export type Status = Readiness & {
  readonly agent: string;
  readonly pid: number;
  readonly app?: string;
  readonly env?: string;
  readonly instance: string;
  readonly sinceStartMs: number;
  readonly inStateMs: number;
  readonly phasesMs: Readonly<Partial<Record<BootPhase, number>>>;
  readonly config: Readonly<Record<string, number>>;
  readonly gunicorn?: { readonly pid: number; readonly workers: readonly number[] };
  /** Starts of gunicorn after the first, and workers that it replaced, since this agent started. */
  readonly restarts: number;
  readonly workersReplaced: number;
  readonly probes: readonly { readonly agoMs: number; readonly isGood: boolean; readonly detail: string; readonly latencyMs: number }[];
  readonly causes: readonly PastCause[];
  readonly logLinesLost: number;
  readonly logTail: readonly string[];
};
