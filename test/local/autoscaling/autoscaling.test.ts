import {
  CreateOrUpdateTagsCommand,
  DeletePolicyCommand,
  DeleteTagsCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeAutoScalingInstancesCommand,
  DescribeLoadBalancersCommand,
  DescribePoliciesCommand,
  DescribeTagsCommand,
  DisableMetricsCollectionCommand,
  EnableMetricsCollectionCommand,
  PutScalingPolicyCommand,
  paginateDescribeAutoScalingGroups,
  paginateDescribeAutoScalingInstances,
  SetDesiredCapacityCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import t from 'tap';
import { answerCall } from '../../../local/wire/query.ts';
import { eventually } from '../../support/eventually.ts';
import { arn, openLab, templateId } from './lab.ts';

const group = { AutoScalingGroupName: 'web' };

t.test('a group is described as it was made', async (t) => {
  const { create, describe, client, inService } = await openLab(t);
  await create({
    ...{ MinSize: 1, MaxSize: 4, DesiredCapacity: 2, HealthCheckGracePeriod: 30, DefaultInstanceWarmup: 20, VPCZoneIdentifier: 'subnet-1,subnet-2' },
    ...{
      AvailabilityZones: ['eu-west-1a', 'eu-west-1b'],
      NewInstancesProtectedFromScaleIn: true,
      LaunchTemplate: { LaunchTemplateName: 'web', Version: '$Latest' },
    },
    LifecycleHookSpecificationList: [{ LifecycleHookName: 'terminate', LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING', HeartbeatTimeout: 90 }],
    Tags: [{ Key: 'app', Value: 'a & <b>', PropagateAtLaunch: true }],
  });
  await inService(2);
  const found = await describe();
  t.match(found, {
    ...{
      AutoScalingGroupName: 'web',
      MinSize: 1,
      MaxSize: 4,
      DesiredCapacity: 2,
      HealthCheckType: 'ELB',
      HealthCheckGracePeriod: 30,
      DefaultInstanceWarmup: 20,
    },
    ...{ VPCZoneIdentifier: 'subnet-1,subnet-2', TargetGroupARNs: [arn], SuspendedProcesses: [], DefaultCooldown: 300, NewInstancesProtectedFromScaleIn: true },
    LaunchTemplate: { LaunchTemplateId: templateId, LaunchTemplateName: 'web', Version: '$Latest' },
    Tags: [{ Key: 'app', Value: 'a & <b>', PropagateAtLaunch: true, ResourceId: 'web', ResourceType: 'auto-scaling-group' }],
    Instances: [
      { AvailabilityZone: 'eu-west-1a', ProtectedFromScaleIn: true, LaunchTemplate: { Version: '9' } },
      { AvailabilityZone: 'eu-west-1b', HealthStatus: 'Healthy' },
    ],
  });
  t.ok(found.CreatedTime instanceof Date);
  await client.send(new EnableMetricsCollectionCommand({ ...group, Granularity: '1Minute' }));
  t.equal((await describe()).EnabledMetrics?.length, 8);
  await client.send(new DisableMetricsCollectionCommand({ ...group, Metrics: ['GroupMinSize'] }));
  t.equal((await describe()).EnabledMetrics?.length, 7);
});

t.test('a target tracking policy and a maintenance policy are kept as they were put', async (t) => {
  const { create, client, describe } = await openLab(t);
  await create({ DesiredCapacity: 0, InstanceMaintenancePolicy: { MinHealthyPercentage: 100, MaxHealthyPercentage: 150 } });
  t.same((await describe()).InstanceMaintenancePolicy, { MinHealthyPercentage: 100, MaxHealthyPercentage: 150 });
  const none = { MinHealthyPercentage: -1, MaxHealthyPercentage: -1 };
  await client.send(new UpdateAutoScalingGroupCommand({ ...group, InstanceMaintenancePolicy: none }));
  t.equal((await describe()).InstanceMaintenancePolicy, undefined);
  const TargetTrackingConfiguration = {
    ...{ PredefinedMetricSpecification: { PredefinedMetricType: 'ASGAverageCPUUtilization' as const }, TargetValue: 60, DisableScaleIn: false },
  };
  const policy = { ...group, PolicyName: 'cpu' };
  const { PolicyARN } = await client.send(new PutScalingPolicyCommand({ ...policy, PolicyType: 'TargetTrackingScaling', TargetTrackingConfiguration }));
  const policies = async () => (await client.send(new DescribePoliciesCommand(group))).ScalingPolicies ?? [];
  t.match(await policies(), [{ PolicyName: 'cpu', PolicyARN, PolicyType: 'TargetTrackingScaling', TargetTrackingConfiguration }]);
  await client.send(new DeletePolicyCommand(policy));
  t.same(await policies(), []);
  await t.rejects(client.send(new DeletePolicyCommand(policy)), { name: 'ValidationError' });
});

t.test('what can not be is refused with the words of the service', async (t) => {
  const { create, client, describe } = await openLab(t);
  await t.rejects(create({ MinSize: 3, MaxSize: 2, DesiredCapacity: 2 }), { name: 'ValidationError' });
  await t.rejects(create({ DesiredCapacity: 21 }), { message: 'Desired capacity:21 must be between the specified min size:0 and max size:20' });
  await t.rejects(create({ TargetGroupARNs: ['arn:other'] }), { name: 'ValidationError' });
  await t.rejects(create({ LaunchTemplate: { LaunchTemplateId: templateId, Version: '10' } }), { name: 'ValidationError' });
  await t.rejects(create({ LaunchTemplate: undefined }), { name: 'ValidationError' });
  await t.rejects(create({ LaunchConfigurationName: 'x' }), {
    name: 'NotImplemented',
    message: 'NotImplemented: CreateAutoScalingGroup with LaunchConfigurationName',
  });
  await create({ DesiredCapacity: 0 });
  await t.rejects(create(), { name: 'AlreadyExistsFault' });
  await t.rejects(client.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: 'other' })), {
    ...{ name: 'ValidationError', message: 'AutoScalingGroup name not found - AutoScalingGroup other not found' },
  });
  await t.rejects(client.send(new SetDesiredCapacityCommand({ ...group, DesiredCapacity: 21 })), {
    message: /^New SetDesiredCapacity value 21 is above max value 20/,
  });
  await t.rejects(client.send(new DescribeLoadBalancersCommand({ AutoScalingGroupName: 'web' })), {
    name: 'NotImplemented',
    message: 'NotImplemented: DescribeLoadBalancers',
    $metadata: { httpStatusCode: 501 },
  });
  const { AutoScalingGroups } = await client.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['other'] }));
  t.same(AutoScalingGroups, [], 'no error: there is none of this name');
  await client.send(new UpdateAutoScalingGroupCommand({ ...group, MinSize: 3 }));
  t.match(await describe(), { DesiredCapacity: 3, MinSize: 3 }, 'raised to the new minimum');
  await client.send(new UpdateAutoScalingGroupCommand({ ...group, MinSize: 0, MaxSize: 1 }));
  t.match(await describe(), { DesiredCapacity: 1, MaxSize: 1 }, 'and lowered to the new maximum');
});

t.test('tags are put, described by filter and deleted', async (t) => {
  const { create, client } = await openLab(t);
  await create({ DesiredCapacity: 0 });
  const tag = (Key: string, Value: string) => ({ ResourceId: 'web', ResourceType: 'auto-scaling-group', Key, Value, PropagateAtLaunch: false });
  await client.send(new CreateOrUpdateTagsCommand({ Tags: [tag('a', '1'), tag('b', '2')] }));
  const read = async (Name: string, ...Values: string[]) =>
    (await client.send(new DescribeTagsCommand({ Filters: [{ Name, Values }] }))).Tags?.map(({ Key }) => Key);
  t.same(await read('auto-scaling-group', 'web'), ['a', 'b']);
  t.same(await read('key', 'b', 'c'), ['b']);
  await client.send(new DeleteTagsCommand({ Tags: [tag('a', '1')] }));
  t.same(await read('auto-scaling-group', 'web'), ['b']);
});

t.test('groups and instances come in pages', async (t) => {
  const { create, client, groups } = await openLab(t);
  for (let i = 0; i < 7; i++) await create({ AutoScalingGroupName: `web-${i}`, DesiredCapacity: i === 0 ? 20 : 7 });
  await eventually(
    () => [...groups.values()].flatMap(({ members }) => [...members.values()]).length,
    (count) => count === 62,
  );
  const names: (string | undefined)[] = [];
  for await (const { AutoScalingGroups = [] } of paginateDescribeAutoScalingGroups({ client, pageSize: 3 }, {})) {
    t.ok(AutoScalingGroups.length <= 3);
    names.push(...AutoScalingGroups.map(({ AutoScalingGroupName }) => AutoScalingGroupName));
  }
  t.same(names, ['web-0', 'web-1', 'web-2', 'web-3', 'web-4', 'web-5', 'web-6']);
  const ids = new Set<string | undefined>();
  for await (const { AutoScalingInstances = [] } of paginateDescribeAutoScalingInstances({ client }, {}))
    for (const { InstanceId } of AutoScalingInstances) ids.add(InstanceId);
  t.equal(ids.size, 62);
  const [first] = ids;
  const { AutoScalingInstances } = await client.send(new DescribeAutoScalingInstancesCommand({ InstanceIds: [first ?? ''] }));
  t.match(AutoScalingInstances, [{ InstanceId: first, AutoScalingGroupName: 'web-0', HealthStatus: 'HEALTHY' }]);
  await t.rejects(client.send(new DescribeAutoScalingGroupsCommand({ NextToken: 'x' })), { name: 'InvalidNextToken' });
});

t.test('S50: an action throttles or fails as often as it is told to', async (t) => {
  const { create, describe, faults } = await openLab(t);
  await create({ DesiredCapacity: 0 });
  faults.throttle('DescribeAutoScalingGroups', 2);
  faults.fail('DescribeAutoScalingGroups', { code: 'ResourceContention', message: 'busy', status: 500 }, 1);
  for (let i = 0; i < 2; i++) await t.rejects(describe(), { name: 'Throttling', message: 'Rate exceeded', $metadata: { httpStatusCode: 400 } });
  await t.rejects(describe(), { name: 'ResourceContentionFault' });
  await describe();
  faults.throttle('DescribeAutoScalingGroups', 9);
  faults.clear();
  await describe();
});

t.test('five hundred instances are described in less than 50 ms', async (t) => {
  const { create, client, groups, service } = await openLab(t);
  await create({ MaxSize: 500, DesiredCapacity: 500 });
  await eventually(
    () => [...(groups.get('web')?.members.values() ?? [])].filter(({ state }) => state === 'InService').length,
    (count) => count === 500,
  );
  const timesMs: number[] = [];
  for (let i = 0; i < 5; i++) {
    const began = performance.now();
    const { body } = await answerCall(service, 'Action=DescribeAutoScalingGroups&Version=2011-01-01', 'query');
    t.equal(body.match(/<InstanceId>/g)?.length, 500);
    timesMs.push(performance.now() - began);
  }
  t.ok(Math.min(...timesMs) < 50, `${Math.min(...timesMs).toFixed(1)} ms`);
  t.equal((await client.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['web'] }))).AutoScalingGroups?.[0]?.Instances?.length, 500);
});
