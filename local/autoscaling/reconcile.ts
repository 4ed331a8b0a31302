import { at, type Group, isPending, type Member } from './group.ts';
import { launch, terminate, type World } from './instance.ts';
import { plan, type Reason, type Seat } from './plan.ts';
import { activeRefresh, advance, boundsOf, fail, launchTemplateOf } from './refresh.ts';

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';
export type ResolvedTemplate = {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly imageId: string;
  readonly usesResolveSsm: boolean;
};

/** What the service asks others for. */
export type Sources = {
  readonly templates: { resolve(idOrName: string, version: string): Promise<ResolvedTemplate | undefined> };
  readonly alarmState: (name: string) => Promise<AlarmState | undefined>;
};

/** Asks the balancer and the alarms, and draws from it which instances are unhealthy and whether the refresh failed. */
export async function look(world: World, { alarmState }: Sources, group: Group): Promise<void> {
  const refresh = activeRefresh(group);
  const watched = refresh?.status === 'InProgress' || refresh?.status === 'Baking' ? refresh.preferences.alarms : [];
  const [answers, alarms] = await Promise.all([
    Promise.all(group.targetGroups.map(async (arn) => (await world.targetGroups.get(arn)?.health()) ?? [])),
    Promise.all(watched.map(async (name) => ({ name, state: await alarmState(name) }))),
  ]);
  const states = answers.map((targets) => new Map(targets.map(({ id, state }) => [id, state])));
  for (const member of group.members.values()) member.targets = states.map((byId) => byId.get(member.id));
  const firing = alarms.find(({ state }) => state === 'ALARM');
  const isWatched = refresh?.status === 'InProgress' || refresh?.status === 'Baking';
  if (firing !== undefined && refresh !== undefined && isWatched) fail(group, refresh, `CloudWatch alarm ${firing.name} is in ALARM state.`, performance.now());
}

/** Marks what is unhealthy. A stopped instance needs no grace period, and in Standby nothing is checked. */
function checkHealth({ timers }: World, group: Group): void {
  if (group.suspended.has('HealthCheck')) return;
  for (const member of group.members.values()) {
    if (member.health === 'Unhealthy' || !(isPending(member) || member.state === 'InService')) continue;
    if (member.hasEnded) {
      member.health = 'Unhealthy';
      member.complaint = isPending(member)
        ? 'Instance became unhealthy while waiting for instance to be in InService state.'
        : 'an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.';
    } else if (isUnhealthyTarget(group, member) && performance.now() >= member.inServiceAtMs + group.gracePeriodS * timers.secondMs) {
      Object.assign(member, { health: 'Unhealthy', complaint: 'an instance was taken out of service in response to an ELB system health check failure.' });
    }
  }
}

const checksTargets = (group: Group): boolean => group.healthCheckType.includes('ELB');
const isUnhealthyTarget = (group: Group, { isRegistered, targets }: Member): boolean => checksTargets(group) && isRegistered && targets.includes('unhealthy');

function seatsOf({ timers }: World, group: Group): readonly Seat[] {
  const refresh = activeRefresh(group);
  const warmupMs = (refresh?.preferences.instanceWarmupS ?? 0) * timers.secondMs;
  const nowMs = performance.now();
  return [...group.members.values()].map((member) => {
    const { id, state, isProtected, order, template, health, targets, inServiceAtMs } = member;
    const isHealthy = health === 'Healthy';
    // Before the first look nothing is known of it.
    const answers = !checksTargets(group) || (targets.length === group.targetGroups.length && targets.every((target) => target === 'healthy'));
    const isReady = state === 'InService' && isHealthy && answers && nowMs >= inServiceAtMs + warmupMs;
    return { id, state, isHealthy, isReady, isProtected, order, version: Number(template.version), isOutdated: refresh?.outdated.has(id) ?? false };
  });
}

/** Takes the group one step on. A template that is not there keeps it from launching. */
export async function stepOn(world: World, { templates }: Sources, group: Group): Promise<void> {
  const situation = () => ({ desired: group.isDeleting ? 0 : group.sizes.desired, suspended: group.suspended, seats: seatsOf(world, group) });
  checkHealth(world, group);
  advance(group, situation(), { nowMs: performance.now(), ...world.timers });
  const choice = launchTemplateOf(group);
  // A number needs no look-up: whether it still exists is EC2's to say, at the launch.
  const template = choice.version.startsWith('$') ? await templates.resolve(choice.id, choice.version) : choice;
  if (world.signal.aborted) return;
  const now = launchTemplateOf(group);
  // A refresh began or went back meanwhile: this step would launch what nobody wants any more.
  if (now.id !== choice.id || now.version !== choice.version) return world.changed(group);
  for (const step of plan({ ...situation(), refresh: boundsOf(activeRefresh(group)) })) {
    if (step.do === 'terminate') {
      const member = group.members.get(step.id as Member['id']);
      if (member === undefined) continue;
      if (step.why === 'unhealthy') group.toReplace++;
      terminate(world, group, member, { cause: endingCause(step.why, member, group.sizes.desired), hooks: 'run' });
    } else if (performance.now() >= group.launchNotBeforeMs && template !== undefined) {
      const { id, name, version } = template;
      for (let i = 0; i < step.count; i++) launch(world, group, { id, name, version }, launchCause(group, step.why));
    }
  }
}

function endingCause(why: Reason, { complaint }: Member, desired: number): string {
  if (why === 'unhealthy') return complaint;
  if (why === 'refresh') return 'an instance was taken out of service in response to an instance refresh.';
  return `an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity to ${desired}.`;
}

function launchCause(group: Group, why: Reason): string {
  if (group.toReplace > 0) {
    group.toReplace--;
    return 'an instance was launched in response to an unhealthy instance needing to be replaced.';
  }
  if (why === 'refresh') return 'an instance was launched in response to an instance refresh.';
  const difference = `an instance was started in response to a difference between desired and actual capacity, increasing the capacity to ${group.sizes.desired}.`;
  return group.request === '' ? difference : `${group.request}  ${at(difference)}`;
}
