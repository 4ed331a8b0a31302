import { randomUUID } from 'node:crypto';
import { listOf, type Params, requiredText, ServiceError, textOf } from '../wire/query.ts';
import { at, type Group, isTerminating, type Sizes } from './group.ts';
import { activeAction, type Hook, type HookResult } from './hooks.ts';
import { terminate } from './instance.ts';
import { activeRefresh } from './refresh.ts';
import { type Account, flag, type GroupHandler, groupOf, type Handler, integer, invalid, refuse, structure, structures, templateOf } from './requests.ts';

const processes = 'Launch Terminate AddToLoadBalancer AlarmNotification AZRebalance HealthCheck InstanceRefresh ReplaceUnhealthy ScheduledActions'.split(' ');
const elsewhere = ['LaunchConfigurationName', 'MixedInstancesPolicy', 'InstanceId', 'LoadBalancerNames', 'MaxInstanceLifetime'];

const groupMetrics = 'MinSize MaxSize DesiredCapacity InServiceInstances PendingInstances StandbyInstances TerminatingInstances TotalInstances'
  .split(' ')
  .map((metric) => `Group${metric}`);

/** Throws ValidationError. */
function checkSizes({ min, max, desired }: Sizes): void {
  if (min > max) throw invalid(`Max bound, ${max}, must be greater than or equal to min bound, ${min}`);
  if (desired < min || desired > max) throw invalid(`Desired capacity:${desired} must be between the specified min size:${min} and max size:${max}`);
}

/** Changes what is given, and leaves the rest. */
function changeSettings(group: Group, params: Params): void {
  group.healthCheckType = textOf(params, 'HealthCheckType') ?? group.healthCheckType;
  group.gracePeriodS = integer(params, 'HealthCheckGracePeriod') ?? group.gracePeriodS;
  group.defaultCooldownS = integer(params, 'DefaultCooldown') ?? group.defaultCooldownS;
  group.protectsNew = flag(params, 'NewInstancesProtectedFromScaleIn') ?? group.protectsNew;
  group.subnets = textOf(params, 'VPCZoneIdentifier') ?? group.subnets;
  if (listOf(params, 'AvailabilityZones').length > 0) group.zones = listOf(params, 'AvailabilityZones');
  if (listOf(params, 'TerminationPolicies').length > 0) group.terminationPolicies = listOf(params, 'TerminationPolicies');
  const maintenance = structure(params, 'InstanceMaintenancePolicy');
  if (maintenance !== undefined) group.maintenance = maintenanceOf(maintenance);
  // -1 takes the default warm-up away again.
  const warmup = integer(params, 'DefaultInstanceWarmup', -1);
  if (warmup !== undefined) group.defaultWarmupS = warmup < 0 ? undefined : warmup;
}

/** Both -1 take the policy away (API Reference, InstanceMaintenancePolicy). Throws ValidationError. */
function maintenanceOf(params: Params): Group['maintenance'] {
  const [min = -1, max = -1] = [integer(params, 'MinHealthyPercentage', -1, 100), integer(params, 'MaxHealthyPercentage', -1, 200)];
  if (min === -1 && max === -1) return undefined;
  if (min < 0 || max < 100 || max - min > 100)
    throw invalid(`MinHealthyPercentage ${min} and MaxHealthyPercentage ${max} are not 0 to 100 and 100 to 200, 100 apart at most.`);
  return { min, max };
}

function putHook(group: Group, params: Params): void {
  const name = requiredText(params, 'LifecycleHookName');
  const before = group.hooks.get(name);
  const transition = textOf(params, 'LifecycleTransition') ?? before?.transition;
  const defaultResult = textOf(params, 'DefaultResult') ?? before?.defaultResult ?? 'ABANDON';
  if (transition === undefined || !/^autoscaling:EC2_INSTANCE_(LAUNCHING|TERMINATING)$/.test(transition))
    throw invalid(`Invalid LifecycleTransition ${transition}`);
  if (defaultResult !== 'CONTINUE' && defaultResult !== 'ABANDON') throw invalid(`Invalid DefaultResult ${defaultResult}`);
  const extra = { NotificationMetadata: textOf(params, 'NotificationMetadata'), NotificationTargetARN: textOf(params, 'NotificationTargetARN') };
  const heartbeatTimeoutS = integer(params, 'HeartbeatTimeout', 30, 7200) ?? before?.heartbeatTimeoutS ?? 3600;
  group.hooks.set(name, { name, transition: transition as Hook['transition'], heartbeatTimeoutS, defaultResult, extra });
}

function putTag(group: Group, tag: Params): void {
  const key = requiredText(tag, 'Key');
  group.tags.set(key, { key, value: textOf(tag, 'Value') ?? '', propagate: textOf(tag, 'PropagateAtLaunch') ?? 'false' });
}

function processesOf(params: Params): readonly string[] {
  const named = listOf(params, 'ScalingProcesses');
  const unknown = named.find((name) => !processes.includes(name));
  if (unknown !== undefined) throw invalid(`Invalid process type ${unknown}`);
  return named.length === 0 ? processes : named;
}

/** Without names it is all of them (API Reference, EnableMetricsCollection; those of warm pools left out). */
function metricsOf(params: Params): readonly string[] {
  const named = listOf(params, 'Metrics');
  return named.length === 0 ? groupMetrics : named;
}

const completed = (result: HookResult): string => `Lifecycle Action Completed with ${result} Result`;
const wantedAction = (params: Params) => ({
  hook: requiredText(params, 'LifecycleHookName'),
  instance: textOf(params, 'InstanceId'),
  token: textOf(params, 'LifecycleActionToken'),
});

/** Throws ValidationError, AlreadyExists, NotImplemented. */
async function create(account: Account, params: Params): Promise<Group> {
  const name = requiredText(params, 'AutoScalingGroupName');
  refuse(params, 'CreateAutoScalingGroup', ...elsewhere);
  const min = integer(params, 'MinSize') ?? 0;
  const sizes = { min, max: integer(params, 'MaxSize') ?? 0, desired: integer(params, 'DesiredCapacity') ?? min };
  checkSizes(sizes);
  const sources = structures(params, 'TrafficSources').map((source) => requiredText(source, 'Identifier'));
  const targetGroups = [...listOf(params, 'TargetGroupARNs'), ...sources];
  const missing = targetGroups.find((arn) => !account.world.targetGroups.has(arn));
  if (missing !== undefined) throw invalid('Provided Target Groups may not be valid. Please ensure they exist and try again.');
  const { asked } = await templateOf(account, structure(params, 'LaunchTemplate') ?? {});
  if (account.groups.has(name)) {
    throw new ServiceError('AlreadyExists', `AutoScalingGroup by this name already exists - A group with the name ${name} already exists`);
  }
  const group: Group = {
    ...{ name, arn: `arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:${randomUUID()}:autoScalingGroupName/${name}`, createdAt: new Date() },
    ...{ sizes, template: asked, targetGroups, healthCheckType: 'EC2', gracePeriodS: 0, defaultCooldownS: 300, defaultWarmupS: undefined },
    ...{ protectsNew: false, zones: ['eu-west-1a'], subnets: '', terminationPolicies: ['Default'], members: new Map(), hooks: new Map() },
    ...{
      suspended: new Set<string>(),
      tags: new Map(),
      policies: new Map(),
      metrics: new Set<string>(),
      maintenance: undefined,
      activities: [],
      refreshes: [],
      toReplace: 0,
      launches: 0,
      launchNotBeforeMs: 0,
      isDeleting: false,
    },
    request: at(`a user request created an AutoScalingGroup changing the desired capacity from 0 to ${sizes.desired}.`),
  };
  changeSettings(group, params);
  for (const hook of structures(params, 'LifecycleHookSpecificationList')) putHook(group, hook);
  for (const tag of structures(params, 'Tags')) putTag(group, tag);
  account.groups.set(name, group);
  return group;
}

async function update(group: Group, params: Params, account: Account): Promise<void> {
  refuse(params, 'UpdateAutoScalingGroup', ...elsewhere);
  const specification = structure(params, 'LaunchTemplate');
  const { asked } = specification === undefined ? { asked: group.template } : await templateOf(account, specification);
  const isOther = asked.id !== group.template.id || asked.version !== group.template.version;
  if (isOther && activeRefresh(group)?.desired !== undefined) {
    const rest = 'All configuration options derived from the desired configuration are not available for update while the instance refresh is active.';
    throw invalid(`An active instance refresh with a desired configuration exists. ${rest}`);
  }
  const { desired: before } = group.sizes;
  const min = integer(params, 'MinSize') ?? group.sizes.min;
  const max = integer(params, 'MaxSize') ?? group.sizes.max;
  const sizes = { min, max, desired: integer(params, 'DesiredCapacity') ?? Math.max(min, Math.min(max, before)) };
  checkSizes(sizes);
  changeSettings(group, params);
  group.template = asked;
  Object.assign(group.sizes, sizes);
  const change = `constraints to min: ${min}, max: ${max}, desired: ${sizes.desired} changing the desired capacity from ${before} to ${sizes.desired}.`;
  if (sizes.desired !== before) group.request = at(`a user request update of AutoScalingGroup ${change}`);
}

/** Throws ResourceInUse. */
function remove(group: Group, params: Params, { world }: Account): void {
  if (!flag(params, 'ForceDelete') && group.members.size > 0) {
    const why = 'You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.';
    throw new ServiceError('ResourceInUse', why);
  }
  group.isDeleting = true;
  for (const member of group.members.values()) {
    // It also deletes any outstanding lifecycle actions (DeleteAutoScalingGroup).
    if (isTerminating(member)) member.action?.settle('ABANDON', 'Group is deleted');
    else terminate(world, group, member, { cause: 'an instance was taken out of service in response to a user request.', hooks: 'skip' });
  }
}

/** CreateAutoScalingGroup, and the tags, which name their group otherwise. */
export const onNewGroups: Readonly<Record<string, Handler>> = {
  async CreateAutoScalingGroup(account, params) {
    account.world.changed(await create(account, params));
    return {};
  },
  CreateOrUpdateTags(account, params) {
    for (const tag of structures(params, 'Tags')) putTag(groupOf(account, tag, 'ResourceId'), tag);
    return {};
  },
  DeleteTags(account, params) {
    for (const tag of structures(params, 'Tags')) groupOf(account, tag, 'ResourceId').tags.delete(requiredText(tag, 'Key'));
    return {};
  },
};

export const onGroups: Readonly<Record<string, GroupHandler>> = {
  UpdateAutoScalingGroup: update,
  DeleteAutoScalingGroup: remove,
  SetDesiredCapacity(group, params) {
    const desired = integer(params, 'DesiredCapacity') ?? 0;
    const { min, max, desired: before } = group.sizes;
    if (desired > max) throw invalid(`New SetDesiredCapacity value ${desired} is above max value ${max} for the AutoScalingGroup.`);
    if (desired < min) throw invalid(`New SetDesiredCapacity value ${desired} is below min value ${min} for the AutoScalingGroup.`);
    group.sizes.desired = desired;
    group.request = at(`a user request explicitly set group desired capacity changing the desired capacity from ${before} to ${desired}.`);
  },
  SuspendProcesses({ suspended }, params) {
    for (const process of processesOf(params)) suspended.add(process);
  },
  ResumeProcesses({ suspended }, params) {
    for (const process of processesOf(params)) suspended.delete(process);
  },
  PutLifecycleHook: putHook,
  DeleteLifecycleHook({ hooks, members }, params) {
    const name = requiredText(params, 'LifecycleHookName');
    if (!hooks.delete(name)) throw invalid(`No Lifecycle Hook found with name ${name}`);
    // Outstanding actions are completed first: ABANDON for a launch, CONTINUE for a termination (DeleteLifecycleHook).
    for (const member of members.values()) {
      const result = isTerminating(member) ? 'CONTINUE' : 'ABANDON';
      if (member.action?.hook.name === name) member.action.settle(result, completed(result));
    }
  },
  CompleteLifecycleAction(group, params) {
    const result = requiredText(params, 'LifecycleActionResult');
    if (result !== 'CONTINUE' && result !== 'ABANDON') throw invalid(`Invalid LifecycleActionResult ${result}`);
    activeAction(group, wantedAction(params)).settle(result, completed(result));
  },
  RecordLifecycleActionHeartbeat: (group, params) => activeAction(group, wantedAction(params)).beat(),
  EnableMetricsCollection({ metrics }, params) {
    for (const metric of metricsOf(params)) metrics.add(metric);
  },
  DisableMetricsCollection({ metrics }, params) {
    for (const metric of metricsOf(params)) metrics.delete(metric);
  },
};
