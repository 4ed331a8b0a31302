import { setTimeout as pause } from 'node:timers/promises';
import type { Launcher } from '../fleet/launcher.ts';
import type { TargetGroup } from '../load-balancer/target-group.ts';
import { type Activity, at, begin, end, type Group, isPending, isTerminating, type Member, newInstanceId, type TemplateChoice } from './group.ts';
import { type Hook, waitForHook } from './hooks.ts';
import type { Timers } from './timers.ts';

/** What the service acts by. */
export type World = {
  readonly launcher: Launcher;
  readonly targetGroups: Pick<ReadonlyMap<string, TargetGroup>, 'has' | 'get'>;
  readonly timers: Timers;
  readonly say: (line: string) => void;
  /** Ends every wait when the service stops. */
  readonly signal: AbortSignal;
  /** Something happened that the group's next step may follow from. */
  changed(group: Group): void;
};

/** Launches an instance and takes it through its hooks into service. Returns at once, with the instance in the group. */
export function launch(world: World, group: Group, template: TemplateChoice, cause: string): Member {
  const member: Member = {
    ...{ id: newInstanceId(), template, order: group.launches++, state: 'Pending' as const, health: 'Healthy' as const, complaint: '' },
    ...{ isProtected: group.protectsNew, launched: undefined, started: Promise.resolve(), hasEnded: false, isRegistered: false },
    ...{ inServiceAtMs: Number.POSITIVE_INFINITY, targets: [], action: undefined },
  };
  group.members.set(member.id, member);
  const activity = begin(group, `Launching a new EC2 instance: ${member.id}`, cause);
  member.started = start(world, group, member, activity);
  unattended(world, member, async () => {
    await member.started;
    if (member.launched !== undefined) await bringUp(world, group, member, activity);
  });
  return member;
}

async function start(world: World, group: Group, member: Member, activity: Activity): Promise<void> {
  const { id, template } = member;
  try {
    const launched = await world.launcher.launch({ id, launchTemplateId: template.id, version: template.version, autoScalingGroup: group.name });
    member.launched = launched;
    void launched.ended.then(() => {
      member.hasEnded = true;
      world.changed(group);
    });
  } catch (thrown) {
    group.members.delete(id);
    end(activity, 'Failed', `${thrown instanceof Error ? thrown.message : thrown}. Launching EC2 instance failed.`);
    pauseLaunches(world, group);
    world.changed(group);
  }
}

const terminatedMeanwhile = 'Instance was terminated while waiting to be in InService state.';

async function bringUp(world: World, group: Group, member: Member, activity: Activity): Promise<void> {
  // It is taken down meanwhile where a refresh is undone, the capacity is lowered or the instance stopped.
  const given = () => end(activity, 'Cancelled', member.complaint || terminatedMeanwhile);
  await pause(world.timers.untilPendingWaitMs, undefined, { signal: world.signal });
  for (const hook of hooksOf(group, 'autoscaling:EC2_INSTANCE_LAUNCHING')) {
    if (!isPending(member)) return given();
    activity.status = 'PreInService';
    member.state = 'Pending:Wait';
    const { result, message } = await waitForHook(member, hook, world.timers.secondMs);
    if (!isPending(member)) return given();
    if (result === 'ABANDON') {
      end(activity, 'Cancelled', message);
      pauseLaunches(world, group);
      return terminate(world, group, member, { cause: 'an instance was taken out of service in response to a launch failure.', hooks: 'skip' });
    }
    member.state = 'Pending:Proceed';
  }
  if (!isPending(member)) return given();
  member.state = 'Pending:Proceed';
  await putInService(world, group, member, activity);
}

async function putInService(world: World, group: Group, member: Member, activity: Activity): Promise<void> {
  await register(world, group, member);
  if (!isPending(member)) return end(activity, 'Cancelled', terminatedMeanwhile);
  Object.assign(member, { state: 'InService', inServiceAtMs: performance.now() });
  end(activity, 'Successful');
  world.changed(group);
}

/** Hooks are run "if the lifecycle hooks are failing consistently" at a limited rate (User Guide, lifecycle hooks, "Considerations and limitations"). */
function pauseLaunches({ timers }: World, group: Group): void {
  group.launchNotBeforeMs = performance.now() + timers.relaunchPauseMs;
}

const hooksOf = (group: Group, transition: Hook['transition']): readonly Hook[] => [...group.hooks.values()].filter((hook) => hook.transition === transition);

const targetGroupsOf = (world: World, group: Group): readonly TargetGroup[] => group.targetGroups.flatMap((arn) => world.targetGroups.get(arn) ?? []);

async function register(world: World, group: Group, member: Member): Promise<void> {
  if (group.suspended.has('AddToLoadBalancer') || member.launched === undefined) return;
  const { address } = member.launched;
  // Set first: who ends it now must also take it out of the balancer.
  member.isRegistered = true;
  await Promise.all(targetGroupsOf(world, group).map((target) => target.register(member.id, address)));
}

async function deregister(world: World, group: Group, member: Member): Promise<void> {
  if (!member.isRegistered) return;
  await Promise.all(targetGroupsOf(world, group).map((target) => target.deregister(member.id)));
  member.isRegistered = false;
}

export type Termination = { readonly cause: string; readonly hooks: 'run' | 'skip' };

/** Takes an instance out of the balancer, through its hooks and off. Returns at once; one that is on its way out already goes on. */
export function terminate(world: World, group: Group, member: Member, { cause, hooks }: Termination): void {
  if (isTerminating(member)) return;
  member.state = 'Terminating';
  member.action?.settle('ABANDON', 'Instance is terminated');
  const activity = begin(group, `Terminating EC2 instance: ${member.id}`, `${cause}  ${at(`instance ${member.id} was selected for termination.`)}`);
  unattended(world, member, async () => {
    await member.started;
    const { launched } = member;
    if (launched === undefined) return end(activity, 'Successful');
    launched.setTargetLifecycleState('Terminated');
    await deregister(world, group, member);
    if (hooks === 'run' && !group.isDeleting) await leave(world, group, member);
    member.state = 'Terminating:Proceed';
    await launched.terminate();
    group.members.delete(member.id);
    end(activity, 'Successful');
    world.changed(group);
  });
}

async function leave(world: World, group: Group, member: Member): Promise<void> {
  await pause(world.timers.untilTerminatingWaitMs, undefined, { signal: world.signal });
  for (const hook of hooksOf(group, 'autoscaling:EC2_INSTANCE_TERMINATING')) {
    if (group.isDeleting) return;
    member.state = 'Terminating:Wait';
    // ABANDON stops the hooks that remain; the instance ends either way.
    if ((await waitForHook(member, hook, world.timers.secondMs)).result === 'ABANDON') return;
  }
}

/** Out of the balancer and aside, still part of the group. */
export function enterStandby(world: World, group: Group, member: Member, shrinking: string): Activity {
  const cause = `instance ${member.id} was moved to standby in response to a user request${shrinking}.`;
  const activity = begin(group, `Moving EC2 instance to Standby: ${member.id}`, cause);
  activity.progress = 50;
  member.state = 'EnteringStandby';
  unattended(world, member, async () => {
    await deregister(world, group, member);
    if (member.state === 'EnteringStandby') member.state = 'Standby';
    end(activity, 'Successful');
    world.changed(group);
  });
  return activity;
}

/** Back into service; launch hooks don't run again. */
export function exitStandby(world: World, group: Group, member: Member, growing: string): Activity {
  const cause = `instance ${member.id} was moved out of standby in response to a user request${growing}.`;
  const activity = begin(group, `Moving EC2 instance out of Standby: ${member.id}`, cause);
  Object.assign(activity, { progress: 30, status: 'PreInService' });
  member.state = 'Pending';
  unattended(world, member, () => putInService(world, group, member, activity));
  return activity;
}

function unattended({ say, signal }: World, { id }: Member, work: () => Promise<void>): void {
  work().catch((thrown) => {
    if (!signal.aborted) say(`autoscaling: ${id}: ${thrown instanceof Error ? thrown.stack : thrown}`);
  });
}
