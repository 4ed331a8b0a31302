import { Failure } from '../../contract/causes.ts';
import { infrastructurePath } from '../../contract/names.ts';
import { type AppTimes, type Margins, unfitTimes } from '../../contract/times.ts';
import type { Facts } from './facts.ts';
import type { Situation } from './situation.ts';
import { isUnderWay } from './under-way.ts';

export type PreflightOptions = {
  /** A rollback looks at no alarm; a deploy leaves out those named. */
  readonly purpose: 'deploy' | 'rollback';
  readonly despite: readonly string[];
  readonly app: AppTimes;
  readonly margins: Margins;
};

/** What a refresh cannot do without (EC2 Auto Scaling User Guide, "Suspend and resume processes"). */
const neededProcesses = ['Launch', 'Terminate', 'HealthCheck', 'AddToLoadBalancer', 'InstanceRefresh'];

/** The first reason for which nothing may be started, in the order in which a person would mend them; undefined when a deploy may go. Pure. */
export function refusal(facts: Facts, { purpose, despite, app, margins }: PreflightOptions): Failure | undefined {
  const { infrastructure, live, target, place } = facts;
  const fixed = busy(facts) ?? unfit(facts);
  if (fixed !== undefined) return fixed;
  const [misfit] = unfitTimes(infrastructure.times, app, margins);
  if (misfit !== undefined) return new Failure('TIMES_INVALID', { parameter: infrastructurePath(place), problem: misfit });
  if (facts.targetProblem !== undefined) return new Failure('RELEASE_UNBOOTABLE', { release: target.release, problem: facts.targetProblem });
  if (facts.wayBackProblem !== undefined && purpose === 'deploy') {
    return new Failure('WAY_BACK_GONE', { release: live?.release ?? 0, problem: facts.wayBackProblem });
  }
  for (const { name, state } of facts.alarms) {
    if (purpose === 'rollback') break;
    if (state === undefined) return new Failure('ALARM_MISSING', { alarm: name });
    if (state !== 'OK' && !despite.includes(name)) return new Failure('ALARM_NOT_OK', { alarm: name, state });
  }
  return undefined;
}

/** A group that has never served: Terraform made it with Launch suspended, and nothing was ever live. */
export const isFirst = ({ group, live }: Situation): boolean => live === undefined && group.suspended.includes('Launch');

function busy({ refresh, towards, group }: Facts): Failure | undefined {
  if (!isUnderWay(refresh)) return undefined;
  const goal = towards?.release === undefined ? `template version ${refresh?.version ?? 'unknown'}` : `release ${towards.release.number}`;
  return new Failure('DEPLOY_BUSY', { group: group.name, towards: goal, unused: '' });
}

/** What of the group or the base version stands in the way of every deploy, and of every rollback. Pure. */
export function unfit(situation: Situation): Failure | undefined {
  const { group, base, infrastructure } = situation;
  const unusable = problemOf(situation);
  if (unusable !== undefined) return unusable;
  if (group.desired === 0) return new Failure('GROUP_EMPTY', { group: group.name });
  const suspended = group.suspended.filter((name) => neededProcesses.includes(name) && !(name === 'Launch' && isFirst(situation)));
  if (suspended.length > 0) return new Failure('PROCESSES_SUSPENDED', { group: group.name, processes: suspended.join(', ') });
  if (base === undefined) return new Failure('TEMPLATE_MISSING', { template: infrastructure.launchTemplateId, version: '$Default' });
  return undefined;
}

/** What of the group or the base version makes a deploy or its rollback impossible (EC2 Auto Scaling User Guide, "Undo changes with a rollback"). */
function problemOf({ group, infrastructure, base, saved }: Situation): Failure | undefined {
  const { launchTemplateId: template, targetGroupArn } = infrastructure;
  const problem = (text: string) => new Failure('GROUP_UNUSABLE', { group: group.name, problem: text });
  if (group.templateId !== template) return problem(`it launches from ${group.templateId ?? 'no single launch template'}, not from ${template}`);
  if (!/^\d+$/.test(group.version)) return problem(`its template version is ${group.version}; a rollback needs a number`);
  if (!group.targetGroups.includes(targetGroupArn)) return problem(`it registers nothing at ${targetGroupArn}`);
  if (group.healthCheckType !== 'ELB') return problem(`its health check type is ${group.healthCheckType}; ELB lets the balancer's checks count`);
  if (saved === undefined && group.instances.length > 0) return new Failure('TEMPLATE_MISSING', { template, version: group.version });
  if (base === undefined) return undefined;
  if (base.imageId === undefined || base.imageId.startsWith('resolve:')) {
    return new Failure('BASE_UNUSABLE', { template, version: base.number, problem: 'a rollback needs the id of an AMI, not a parameter that names one' });
  }
  return undefined;
}
