import type { CauseCode, CauseReport } from './causes.ts';
import type { StateName } from './status.ts';

/** Phases of a boot, in order; config runs beside installed, download and unpack. */
export type BootPhase = 'identity' | 'release' | 'installed' | 'download' | 'unpack' | 'config' | 'prepare';

/**
 * What a boot says while it runs: each is one log line of the agent under its `event` name.
 * Durations are milliseconds on the monotonic clock.
 */
export type BootEvent =
  /** What the user data says: who this is, and the time the boot has. */
  | { readonly event: 'identified'; readonly app: string; readonly env: string; readonly instance: string; readonly budgetMs: number }
  | { readonly event: 'phase-started'; readonly phase: BootPhase }
  | { readonly event: 'phase-ended'; readonly phase: BootPhase; readonly ms: number; readonly attempts: number }
  | ({ readonly event: 'phase-retried'; readonly phase: BootPhase; readonly attempt: number; readonly retryInMs: number } & CauseReport);

/** What the metadata service tells an instance of its own end. */
export type Notice = 'target-lifecycle-state' | 'spot-interruption' | 'rebalance-recommendation';

/** What the agent's log says of its own life, beside the boot's events; `sinceStartMs` counts from the start of the agent. */
export type AgentEvent =
  | BootEvent
  | { readonly event: 'health-listening'; readonly address: string; readonly sinceStartMs: number }
  /** The host lets no process start now; tried again after `retryInMs`. */
  | { readonly event: 'boot-spawn-failed'; readonly detail: string; readonly retryInMs: number }
  | { readonly event: 'boot-output'; readonly line: string }
  | { readonly event: 'booted'; readonly ms: number; readonly release: number; readonly commit: string }
  | { readonly event: 'app-started'; readonly pid: number }
  /** What an agent before this one started, and it still runs. */
  | { readonly event: 'app-adopted'; readonly pid: number }
  /** The kernel ended so many processes of the app for want of memory. */
  | { readonly event: 'app-oom-killed'; readonly count: number }
  /** systemd or its journal did not do what the agent asked of it. */
  | { readonly event: 'unit-trouble'; readonly detail: string }
  /** The app's role cannot be assumed: the app serves, and its own calls of AWS fail when what it has ends. */
  | ({ readonly event: 'app-role-failed' } & CauseReport)
  | { readonly event: 'app-role-recovered' }
  | { readonly event: 'app-output'; readonly app: string; readonly line: string }
  | { readonly event: 'app-terminating'; readonly cause: CauseCode | 'DRAIN' }
  | { readonly event: 'app-exited'; readonly exit: string; readonly wasKilled: boolean }
  | { readonly event: 'worker-replaced'; readonly pid: number }
  | { readonly event: 'state'; readonly from: StateName; readonly to: StateName; readonly sinceStartMs: number }
  | ({ readonly event: 'failed' } & CauseReport)
  /** New from the metadata service, as it stands there. */
  | { readonly event: 'notice'; readonly notice: Notice; readonly value: string }
  /** No notice can be read; serving goes on. */
  | ({ readonly event: 'notices-failed' } & CauseReport)
  | { readonly event: 'notices-recovered' }
  /** Auto Scaling took the answer to a lifecycle hook: once for each. */
  | { readonly event: 'lifecycle-action-completed'; readonly hook: string; readonly result: 'CONTINUE' | 'ABANDON' }
  | { readonly event: 'lifecycle-heartbeat-recorded'; readonly hook: string }
  /** It did not, and why; once until the reason changes. */
  | ({ readonly event: 'lifecycle-action-failed'; readonly hook: string } & CauseReport)
  /** The hook's time is over; after no failure this says only that the group awaited no answer, as after a restart of the host. */
  | { readonly event: 'lifecycle-action-given-up'; readonly hook: string; readonly result: 'CONTINUE' | 'ABANDON' }
  /** CloudWatch takes none of the metrics, and why; they are kept for a while. */
  | { readonly event: 'metrics-failed'; readonly detail: string }
  | { readonly event: 'metrics-recovered' }
  | { readonly event: 'notify-failed'; readonly detail: string }
  | { readonly event: 'log-lost'; readonly lines: number }
  | { readonly event: 'stopped'; readonly sinceStartMs: number };
