import { listOf, type Params, textOf } from '../wire/query.ts';
import type { Activity, Group, Member, TemplateChoice } from './group.ts';
import { globalTimeoutOf, type Hook } from './hooks.ts';
import type { Refresh } from './refresh.ts';
import { groupOf, type Handler, page, refuse, structures } from './requests.ts';

const template = ({ id, name, version }: TemplateChoice) => ({ LaunchTemplateId: id, LaunchTemplateName: name, Version: version });
const zoneOf = ({ zones }: Group, { order }: Member) => zones[order % zones.length] ?? 'eu-west-1a';

const describeMember = (group: Group, member: Member) => ({
  InstanceId: member.id,
  AvailabilityZone: zoneOf(group, member),
  LifecycleState: member.state,
  HealthStatus: member.health,
  LaunchTemplate: template(member.template),
  ProtectedFromScaleIn: member.isProtected,
});

const describeTags = (group: Group) =>
  [...group.tags.values()].map(({ key, value, propagate }) => ({
    ...{ ResourceId: group.name, ResourceType: 'auto-scaling-group', Key: key, Value: value, PropagateAtLaunch: propagate },
  }));

const describeGroup = (group: Group) => ({
  ...{ AutoScalingGroupName: group.name, AutoScalingGroupARN: group.arn, LaunchTemplate: template(group.template), CreatedTime: group.createdAt },
  ...{ MinSize: group.sizes.min, MaxSize: group.sizes.max, DesiredCapacity: group.sizes.desired, DefaultCooldown: group.defaultCooldownS },
  ...{ AvailabilityZones: group.zones, VPCZoneIdentifier: group.subnets, LoadBalancerNames: [], TargetGroupARNs: group.targetGroups },
  ...{
    TrafficSources: group.targetGroups.map((arn) => ({ Identifier: arn, Type: 'elbv2' })),
    EnabledMetrics: [...group.metrics].map((Metric) => ({ Metric, Granularity: '1Minute' })),
  },
  InstanceMaintenancePolicy: group.maintenance && { MinHealthyPercentage: group.maintenance.min, MaxHealthyPercentage: group.maintenance.max },
  ...{ HealthCheckType: group.healthCheckType, HealthCheckGracePeriod: group.gracePeriodS, DefaultInstanceWarmup: group.defaultWarmupS },
  ...{ TerminationPolicies: group.terminationPolicies, NewInstancesProtectedFromScaleIn: group.protectsNew, CapacityRebalance: false },
  Instances: [...group.members.values()].map((member) => describeMember(group, member)),
  SuspendedProcesses: [...group.suspended].map((process) => ({ ProcessName: process, SuspensionReason: 'User suspended' })),
  Tags: describeTags(group),
  Status: group.isDeleting ? 'Delete in progress' : undefined,
});

export const describeActivity = (group: Group, activity: Activity) => ({
  ...{ ActivityId: activity.id, AutoScalingGroupName: group.name, AutoScalingGroupARN: group.arn, Description: activity.description },
  ...{ Cause: activity.cause, StartTime: activity.startedAt, EndTime: activity.endedAt, StatusCode: activity.status },
  ...{ StatusMessage: activity.message, Progress: activity.progress, Details: '{}' },
});

const describeHook = (group: Group, hook: Hook) => ({
  ...{ AutoScalingGroupName: group.name, LifecycleHookName: hook.name, LifecycleTransition: hook.transition },
  ...{ HeartbeatTimeout: hook.heartbeatTimeoutS, GlobalTimeout: globalTimeoutOf(hook), DefaultResult: hook.defaultResult, ...hook.extra },
});

function describeRefresh(group: Group, refresh: Refresh) {
  const { preferences, rollback, desired } = refresh;
  return {
    ...{ InstanceRefreshId: refresh.id, AutoScalingGroupName: group.name, Status: refresh.status, StatusReason: refresh.reason },
    ...{ StartTime: refresh.startedAt, EndTime: refresh.endedAt, PercentageComplete: refresh.percentage, InstancesToUpdate: refresh.toUpdate },
    Strategy: 'Rolling',
    Preferences: {
      ...{ MinHealthyPercentage: preferences.minHealthyPercentage, MaxHealthyPercentage: preferences.maxHealthyPercentage },
      ...{ InstanceWarmup: preferences.instanceWarmupS, SkipMatching: preferences.skipMatching, AutoRollback: preferences.autoRollback },
      ...{ BakeTime: preferences.bakeTimeS, ScaleInProtectedInstances: preferences.protectedOnes, StandbyInstances: preferences.standby },
      AlarmSpecification: preferences.alarms.length === 0 ? undefined : { Alarms: preferences.alarms },
    },
    DesiredConfiguration: desired && { LaunchTemplate: template(desired) },
    RollbackDetails: rollback && {
      ...{ RollbackReason: rollback.reason, RollbackStartTime: rollback.startedAt },
      ...{ PercentageCompleteOnRollback: rollback.percentage, InstancesToUpdateOnRollback: rollback.toUpdate },
    },
  };
}

/** One page of what is described, as the member of this name. */
function paged<T>(member: string, params: Params, all: readonly T[], most: number, describe: (item: T) => unknown) {
  const { items, NextToken } = page(params, all, { normal: Math.min(50, most), most });
  return { [member]: items.map(describe), NextToken };
}

const byName = (a: Group, b: Group) => (a.name < b.name ? -1 : 1);

export const describing: Readonly<Record<string, Handler>> = {
  DescribeAutoScalingGroups({ groups }, params) {
    refuse(params, 'DescribeAutoScalingGroups', 'Filters');
    const names = listOf(params, 'AutoScalingGroupNames');
    const wanted = names.length === 0 ? [...groups.values()].toSorted(byName) : names.flatMap((name) => groups.get(name) ?? []);
    return paged('AutoScalingGroups', params, wanted, 100, describeGroup);
  },
  DescribeAutoScalingInstances({ groups }, params) {
    const ids = new Set(listOf(params, 'InstanceIds'));
    const all = [...groups.values()].flatMap((group) => [...group.members.values()].map((member) => ({ group, member })));
    const wanted = ids.size === 0 ? all : all.filter(({ member }) => ids.has(member.id));
    return paged('AutoScalingInstances', params, wanted, 50, ({ group, member }) => ({
      ...{ AutoScalingGroupName: group.name, ...describeMember(group, member), HealthStatus: member.health.toUpperCase() },
    }));
  },
  DescribeScalingActivities(account, params) {
    const ids = listOf(params, 'ActivityIds');
    const of = params.AutoScalingGroupName === undefined ? [...account.groups.values()] : [groupOf(account, params)];
    const all = of.flatMap((group) => group.activities.toReversed().map((activity) => ({ group, activity })));
    const wanted = ids.length === 0 ? all : all.filter(({ activity }) => ids.includes(activity.id));
    return paged('Activities', params, wanted, 100, ({ group, activity }) => describeActivity(group, activity));
  },
  DescribeLifecycleHooks(account, params) {
    const group = groupOf(account, params);
    const names = listOf(params, 'LifecycleHookNames');
    const hooks = [...group.hooks.values()].filter(({ name }) => names.length === 0 || names.includes(name));
    return { LifecycleHooks: hooks.map((hook) => describeHook(group, hook)) };
  },
  DescribeInstanceRefreshes(account, params) {
    const group = groupOf(account, params);
    const ids = listOf(params, 'InstanceRefreshIds');
    const wanted = group.refreshes.toReversed().filter(({ id }) => ids.length === 0 || ids.includes(id));
    return paged('InstanceRefreshes', params, wanted, 100, (refresh) => describeRefresh(group, refresh));
  },
  DescribeTags({ groups }, params) {
    const filters = structures(params, 'Filters').map((filter) => ({ name: textOf(filter, 'Name') ?? '', values: listOf(filter, 'Values') }));
    const member = { 'auto-scaling-group': 'ResourceId', key: 'Key', value: 'Value', 'propagate-at-launch': 'PropagateAtLaunch' } as const;
    const fits = (tag: ReturnType<typeof describeTags>[number]) =>
      filters.every(({ name, values }) => name in member && values.includes(tag[member[name as keyof typeof member]]));
    return paged('Tags', params, [...groups.values()].flatMap(describeTags).filter(fits), 100, (tag) => tag);
  },
};
