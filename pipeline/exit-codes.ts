import type { CauseCode, Failure } from '../contract/causes.ts';

/** What each exit code says; `docs/exit-codes.md` and `pinion --help` show it. A deploy has one for each way it ends. */
export const exitCodes = {
  0: ['done; a deploy: the release is live, or there was nothing to do', []],
  1: ['failed for a cause that may pass: try again', []],
  2: ['called wrongly', ['USAGE', 'ENV_MISSING']],
  3: ['refused for a cause that stays, with nothing changed: the message says what to change', []],
  4: ['busy: another refresh of the group is under way', ['DEPLOY_BUSY']],
  5: ['rolled back: the release before serves', ['ROLLED_BACK']],
  6: ['the rollback failed', ['ROLLBACK_FAILED']],
  7: ['the deploy failed, and nothing was rolled back', ['DEPLOY_FAILED']],
  8: ['smoke failed; a deploy was rolled back', ['SMOKE_FAILED']],
  9: ['timed out: the deploy goes on without this command', ['DEPLOY_TIMEOUT']],
  130: ['interrupted; a deploy goes on without this command', ['INTERRUPTED', 'DETACHED']],
} as const satisfies Readonly<Record<number, readonly [says: string, causes: readonly CauseCode[]]>>;

export function exitCodeOf(failure: Failure): number {
  const own = Object.entries(exitCodes).find(([, [, codes]]) => (codes as readonly CauseCode[]).includes(failure.code));
  return own === undefined ? (failure.isTransient ? 1 : 3) : Number(own[0]);
}
