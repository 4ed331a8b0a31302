import { requiredText, textOf } from '../wire/query.ts';
import { describeActivity } from './describe.ts';
import { isTerminating } from './group.ts';
import { enterStandby, exitStandby, terminate } from './instance.ts';
import { anyMember, flag, type GroupHandler, type Handler, invalid, membersOf, refuse } from './requests.ts';

export const onInstances: Readonly<Record<string, Handler>> = {
  SetInstanceHealth(account, params) {
    const { group, member } = anyMember(account, requiredText(params, 'InstanceId'));
    const status = requiredText(params, 'HealthStatus');
    if (status !== 'Healthy' && status !== 'Unhealthy') throw invalid('Valid instance health states are: [Healthy, Unhealthy].');
    const graceEndsMs = member.inServiceAtMs + group.gracePeriodS * account.world.timers.secondMs;
    // Within the grace period the call does nothing, unless it says otherwise.
    if ((flag(params, 'ShouldRespectGracePeriod') ?? true) && group.gracePeriodS > 0 && performance.now() < graceEndsMs) return {};
    member.health = status;
    member.complaint = status === 'Unhealthy' ? 'an instance was taken out of service in response to a user health-check.' : '';
    account.world.changed(group);
    return {};
  },
  TerminateInstanceInAutoScalingGroup(account, params) {
    refuse(params, 'TerminateInstanceInAutoScalingGroup', 'InstanceIds');
    const { group, member } = anyMember(account, requiredText(params, 'InstanceId'));
    const { sizes } = group;
    const decrements = textOf(params, 'ShouldDecrementDesiredCapacity') === 'true';
    if (decrements && sizes.desired - 1 < sizes.min) {
      const because = `Currently, desiredSize equals minSize (${sizes.min}). Terminating instance without replacement will violate group's min size constraint.`;
      throw invalid(`${because} Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.`);
    }
    const before = sizes.desired;
    if (decrements) sizes.desired--;
    const shrinking = decrements ? `, shrinking the capacity from ${before} to ${sizes.desired}` : '';
    if (!isTerminating(member)) {
      terminate(account.world, group, member, {
        cause: `instance ${member.id} was taken out of service in response to a user request${shrinking}.`,
        hooks: 'run',
      });
    }
    account.world.changed(group);
    const activity = group.activities.findLast(({ description }) => description.startsWith(`Terminating EC2 instance: ${member.id}`));
    return { Activity: activity && describeActivity(group, activity) };
  },
};

export const onMembers: Readonly<Record<string, GroupHandler>> = {
  SetInstanceProtection(group, params) {
    const members = membersOf(group, params, ['InService', 'EnteringStandby', 'Standby']);
    for (const member of members) member.isProtected = flag(params, 'ProtectedFromScaleIn') ?? false;
  },
  EnterStandby(group, params, { world }) {
    const members = membersOf(group, params, ['InService']);
    const { sizes } = group;
    const [before, count] = [sizes.desired, members.length];
    if (flag(params, 'ShouldDecrementDesiredCapacity')) {
      if (before - count < sizes.min) {
        const now = `AutoScalingGroup ${group.name} has min-size=${sizes.min}, max-size=${sizes.max}, and desired-size=${before}.`;
        throw invalid(`${now} To place into standby ${count} instance${count === 1 ? '' : 's'}, please update the AutoScalingGroup sizes appropriately.`);
      }
      sizes.desired -= count;
    }
    const shrinking = sizes.desired === before ? '' : `, shrinking the capacity from ${before} to ${sizes.desired}`;
    return { Activities: members.map((member) => describeActivity(group, enterStandby(world, group, member, shrinking))) };
  },
  ExitStandby(group, params, { world }) {
    const members = membersOf(group, params, ['Standby']);
    const { sizes } = group;
    const [before, after] = [sizes.desired, sizes.desired + members.length];
    if (after > sizes.max) throw invalid(`AutoScalingGroup ${group.name} has max-size=${sizes.max}: ${members.length} more instances do not fit.`);
    sizes.desired = after;
    const growing = `, increasing the capacity from ${before} to ${after}`;
    return { Activities: members.map((member) => describeActivity(group, exitStandby(world, group, member, growing))) };
  },
};
