import type { ServerRow } from './runtime.ts';
import type { TargetHealth, TargetState } from './target-group.ts';

/** What the group has done with a target; whether one in service is healthy, HAProxy says. */
export type Stage = 'registering' | 'initial' | 'in-service' | 'draining';
export type Verdict = Pick<TargetHealth, 'reason' | 'description'> & { readonly state: TargetState };

// Wording: Application Load Balancers guide, "Health check reason codes".
const registering: Verdict = { state: 'initial', reason: 'Elb.RegistrationInProgress', description: 'Target registration is in progress' };
const initial: Verdict = { state: 'initial', reason: 'Elb.InitialHealthChecking', description: 'Initial health checks in progress' };
const draining: Verdict = { state: 'draining', reason: 'Target.DeregistrationInProgress', description: 'Target deregistration is in progress' };
const failed: Verdict = { state: 'unhealthy', reason: 'Target.FailedHealthChecks', description: 'Health checks failed' };
/** Of a target that is asked for and that the group does not have. */
export const notRegistered: Verdict = { state: 'unused', reason: 'Target.NotRegistered', description: 'Target is not registered to the target group' };

/** Health of a target as DescribeTargetHealth words it. `before` is what was said last: a reason holds while good checks in a row are still too few. */
export function judge(stage: Stage, row: ServerRow, before: Verdict): Verdict {
  switch (stage) {
    case 'registering':
      return registering;
    case 'draining':
      return draining;
    case 'initial':
      return initial;
    case 'in-service':
      if (row.status.startsWith('UP')) return { state: 'healthy' };
      return row.checkStatus.endsWith('OK') ? (before.state === 'unhealthy' ? before : failed) : whyUnhealthy(row);
  }
}

/** By HAProxy's check status (management guide, column 36, check_status). */
function whyUnhealthy({ checkStatus, checkCode }: ServerRow): Verdict {
  switch (checkStatus) {
    case 'L7STS':
      return { state: 'unhealthy', reason: 'Target.ResponseCodeMismatch', description: `Health checks failed with these codes: [${checkCode}]` };
    case 'L4TOUT':
    case 'L7TOUT':
      return { state: 'unhealthy', reason: 'Target.Timeout', description: 'Request timed out' };
    default:
      return failed;
  }
}

/** Whether a new target's checks have told enough: one good one is, or as many bad ones as the threshold in the time that they take. */
export function verdictIsIn(
  row: ServerRow,
  sinceMs: number,
  check: { readonly intervalMs: number; readonly timeoutMs: number; readonly unhealthyThreshold: number },
): 'passed' | 'failed' | 'no' {
  if (row.checkHealth > 0) return 'passed';
  return sinceMs >= check.intervalMs * check.unhealthyThreshold + check.timeoutMs ? 'failed' : 'no';
}
