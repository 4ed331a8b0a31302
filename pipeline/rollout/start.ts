import {
  ResumeProcessesCommand,
  RollbackInstanceRefreshCommand,
  StartInstanceRefreshCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { Failure } from '../../contract/causes.ts';
import { ask } from '../aws.ts';
import type { Context } from './context.ts';
import type { Facts } from './facts.ts';
import { readRefresh } from './group.ts';
import type { Plan } from './plan.ts';
import { isFirst } from './preflight.ts';
import { createTemplateVersion } from './template.ts';
import { isUnderWay } from './under-way.ts';

export type Started = { readonly version: number; readonly refreshId: string | undefined };

/** Does what the plan says, as far as one is to be started at all. Throws DEPLOY_BUSY, TEMPLATE_MISSING, AWS_*. */
export async function start({ clients, signal }: Context, facts: Facts, { kind, version: reused, userData, preferences }: Plan): Promise<Started> {
  const { autoScaling, ec2 } = clients;
  const { group, infrastructure, base } = facts;
  const { launchTemplateId: template } = infrastructure;
  if (base === undefined) throw new Failure('TEMPLATE_MISSING', { template, version: '$Default' });
  const version = reused ?? (await createTemplateVersion(ec2, template, base, userData, signal));
  if (kind === 'prove' || kind === 'nothing') return { version, refreshId: undefined };
  const launchTemplate = { LaunchTemplateId: template, Version: String(version) };
  const AutoScalingGroupName = group.name;
  if (kind === 'first') {
    const update = new UpdateAutoScalingGroupCommand({ AutoScalingGroupName, LaunchTemplate: launchTemplate });
    await ask('UpdateAutoScalingGroup', group.name, () => autoScaling.send(update, { abortSignal: signal }));
  }
  if (isFirst(facts)) {
    const resume = new ResumeProcessesCommand({ AutoScalingGroupName, ScalingProcesses: ['Launch'] });
    await ask('ResumeProcesses', group.name, () => autoScaling.send(resume, { abortSignal: signal }));
  }
  if (kind === 'first') return { version, refreshId: undefined };
  const command = new StartInstanceRefreshCommand({
    AutoScalingGroupName,
    Strategy: 'Rolling',
    DesiredConfiguration: { LaunchTemplate: launchTemplate },
    Preferences: {
      MinHealthyPercentage: preferences.minHealthyPercentage,
      MaxHealthyPercentage: preferences.maxHealthyPercentage,
      InstanceWarmup: preferences.warmUpSeconds,
      BakeTime: preferences.bakeSeconds,
      AutoRollback: preferences.autoRollback,
      ScaleInProtectedInstances: 'Refresh',
      StandbyInstances: 'Ignore',
      SkipMatching: preferences.skipMatching,
      ...(preferences.alarms.length > 0 && { AlarmSpecification: { Alarms: [...preferences.alarms] } }),
    },
  });
  try {
    const { InstanceRefreshId: refreshId } = await ask('StartInstanceRefresh', group.name, () => autoScaling.send(command, { abortSignal: signal }));
    return { version, refreshId };
  } catch (thrown) {
    if (errorName(thrown) !== 'InstanceRefreshInProgressFault') throw thrown;
    // The answer to a call that was made again may say this of our own refresh: StartInstanceRefresh has no token.
    const running = await readRefresh(autoScaling, group.name, signal);
    if (running !== undefined && isUnderWay(running) && running.version === version) return { version, refreshId: running.id };
    const towards = running?.version === undefined ? 'another configuration' : `template version ${running.version}`;
    throw new Failure(
      'DEPLOY_BUSY',
      { group: group.name, towards, unused: `; template version ${version}, made for this deploy, stays unused` },
      { cause: thrown },
    );
  }
}

/** Asks Auto Scaling to undo the refresh that runs. `over` where none does, `irreversible` where it goes on. Throws AWS_*. */
export async function rollBackRefresh({ clients, signal }: Context, group: string): Promise<'asked' | 'over' | 'irreversible'> {
  const command = new RollbackInstanceRefreshCommand({ AutoScalingGroupName: group });
  try {
    await ask('RollbackInstanceRefresh', group, () => clients.autoScaling.send(command, { abortSignal: signal }));
    return 'asked';
  } catch (thrown) {
    const name = errorName(thrown);
    if (name === 'ActiveInstanceRefreshNotFoundFault') return 'over';
    if (name === 'IrreversibleInstanceRefreshFault') return 'irreversible';
    throw thrown;
  }
}

/** Keeps the group from launching what cannot serve, again and again. Throws AWS_*. */
export async function suspendLaunch({ clients, signal }: Context, group: string): Promise<void> {
  const command = new SuspendProcessesCommand({ AutoScalingGroupName: group, ScalingProcesses: ['Launch'] });
  await ask('SuspendProcesses', group, () => clients.autoScaling.send(command, { abortSignal: signal }));
}

const errorName = (thrown: unknown): string => (thrown instanceof Failure ? ((thrown.cause as Error | undefined)?.name ?? '') : '');
