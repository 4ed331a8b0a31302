/** Every time of the service. A test scales `secondMs`, and with it all that a request says in seconds. */
export type Timers = {
  /** One second of a request: heartbeat time-out, grace period, warm-up, bake time. */
  readonly secondMs: number;
  /** Between two looks at health, alarms and what else no event tells. */
  readonly tickMs: number;
  /** From the start of an instance to `Pending:Wait`. */
  readonly untilPendingWaitMs: number;
  /** From the end of a drain to `Terminating:Wait`. */
  readonly untilTerminatingWaitMs: number;
  /** An instance refresh that replaces nothing for this long has failed. */
  readonly stalledMs: number;
  /** No launch for this long after one that failed or was abandoned. */
  readonly relaunchPauseMs: number;
};

/** AWS's own, as documented; the sources are in autoscaling.md, and so is which of them are inferred. */
export const awsTimers: Timers = {
  secondMs: 1000,
  tickMs: 5_000,
  untilPendingWaitMs: 5_000,
  untilTerminatingWaitMs: 1_000,
  stalledMs: 3_600_000,
  relaunchPauseMs: 30_000,
};
