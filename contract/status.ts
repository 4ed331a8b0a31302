import type { CauseReport } from './causes.ts';
import type { BootPhase } from './events.ts';

export type StateName = 'booting' | 'starting' | 'ready' | 'unready' | 'draining' | 'stopped' | 'failed';

/** Body of `GET /readyz`: 200 only in `ready`. Judges this host alone. */
export type Readiness = { readonly state: StateName; readonly phase?: BootPhase; readonly release?: number; readonly commit?: string } & Partial<CauseReport>;

/** The full status, on the agent's unix socket only: config names and versions, never values. */
export type Status = Readiness & {
  readonly agent: string;
  readonly instance: string;
  readonly sinceStartMs: number;
  readonly phasesMs: Readonly<Partial<Record<BootPhase, number>>>;
  readonly config: Readonly<Record<string, number>>;
  readonly starts: number;
  readonly logTail: readonly string[];
};
