/** Our Auto Scaling and our Describe actions of the balancer, asked the same as moto, which implements some of the same and was written by others. */
import { readFileSync } from 'node:fs';
import * as scaling from '@aws-sdk/client-auto-scaling';
import { CreateLaunchTemplateCommand, CreateSubnetCommand, CreateVpcCommand, EC2Client } from '@aws-sdk/client-ec2';
import * as balancing from '@aws-sdk/client-elastic-load-balancing-v2';
import t from 'tap';
import { keys, region } from '../../local/cloud.ts';
import { startGateway } from '../../local/gateway.ts';
import { createService } from '../../local/load-balancer/describe-actions.ts';
import { startMoto } from '../../local/moto.ts';
import { silent } from '../../pipeline/aws.ts';
import { eventually } from '../support/eventually.ts';
import { openLab, templateId } from './autoscaling/lab.ts';

const moto = await startMoto();
t.teardown(moto.stop);
const given = { region, credentials: keys, logger: silent, maxAttempts: 1 };

type Seen = Readonly<Record<string, unknown>>;
/** Values by their path, lists by position; what is made up anew by each service is left out. */
function flat(value: unknown, path = ''): Seen {
  if (value instanceof Date || value === null || typeof value !== 'object') return value === undefined ? {} : { [path]: value };
  if (Array.isArray(value) && value.length === 0) return {};
  return Object.assign({}, ...Object.entries(value).map(([key, inner]) => flat(inner, path === '' ? key : `${path}.${inner?.Key ?? key}`)));
}
const madeUp = /(Id|Arn|ARN|ARNs\.\d|Time|Cause|DNSName|Name)$|^\$metadata|\.VPCZoneIdentifier$|Arns\.\d$/;
const named = /(AutoScalingGroupName|LifecycleHookName|ProcessName|HealthStatus)$/;

/** The paths at which two answers differ, with both values. */
function differences(here: Seen, there: Seen): (readonly [path: string, here: unknown, there: unknown])[] {
  const paths = [...new Set([...Object.keys(here), ...Object.keys(there)])].filter((path) => !madeUp.test(path) || named.test(path));
  const differ = paths.filter((path) => JSON.stringify(here[path]) !== JSON.stringify(there[path]));
  return differ.map((path) => [path.replace(/\.\d+\b/g, ''), here[path], there[path]]);
}

/** The rows of a document's table of differences: `| call | what | …`. */
const documented = (file: string): string[] => {
  const [, section = ''] = readFileSync(new URL(`../../local/${file}`, import.meta.url), 'utf8').split('## Beside moto');
  return [...section.matchAll(/^\| `([^`]+)` \| `([^`]+)` \|/gm)].map(([, call, path]) => `${call} ${path}`);
};
const said = async (work: Promise<object>): Promise<Seen> =>
  work.then(
    (answer) => flat(answer),
    (thrown) => ({ error: thrown.name }),
  );

t.test('Auto Scaling answers as moto does, but for what autoscaling.md lists', async (t) => {
  const { client: ours } = await openLab(t);
  const theirs = new scaling.AutoScalingClient({ ...given, endpoint: moto.endpoint });
  const ec2 = new EC2Client({ ...given, endpoint: moto.endpoint });
  const data = { LaunchTemplateName: 'web', LaunchTemplateData: { ImageId: 'ami-0123456789abcdef0', InstanceType: 't3.small' } } as const;
  const { LaunchTemplate: template } = await ec2.send(new CreateLaunchTemplateCommand(data));
  const found = new Set<string>();
  const both = async (call: string, make: (templateId: string, instance: string) => scaling.$Command<never, never, never>) => {
    const instances = await Promise.all([ours, theirs].map(anInstance));
    const [here = {}, there = {}] = await Promise.all([
      said(ours.send(make(templateId, instances[0] ?? '') as never)),
      said(theirs.send(make(template?.LaunchTemplateId ?? '', instances[1] ?? '') as never)),
    ]);
    for (const [path, mine, its] of differences(here, there)) {
      found.add(`${call} ${path}`);
      t.comment(`${call}: ${path}: here ${JSON.stringify(mine)}, moto ${JSON.stringify(its)}`);
    }
  };
  const web = { AutoScalingGroupName: 'web' };
  const gone = { AutoScalingGroupName: 'gone' };
  const create = (LaunchTemplateId: string) =>
    new scaling.CreateAutoScalingGroupCommand({
      ...web,
      ...{ MinSize: 0, MaxSize: 2, DesiredCapacity: 0, AvailabilityZones: [`${region}a`], HealthCheckType: 'ELB', HealthCheckGracePeriod: 30 },
      LaunchTemplate: { LaunchTemplateId, Version: '1' },
      Tags: [{ Key: 'team', Value: 'web', PropagateAtLaunch: true }],
    });
  const step = both as (call: string, make: (templateId: string, instance: string) => unknown) => Promise<void>;
  await step('CreateAutoScalingGroup', create);
  await step('CreateAutoScalingGroup twice', create);
  await step('DescribeAutoScalingGroups', () => new scaling.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['web'] }));
  await step('DescribeAutoScalingGroups of none', () => new scaling.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['gone'] }));
  const tag = { ResourceId: 'web', ResourceType: 'auto-scaling-group', Key: 'env', Value: 'test', PropagateAtLaunch: false };
  await step('CreateOrUpdateTags', () => new scaling.CreateOrUpdateTagsCommand({ Tags: [tag] }));
  await step('DescribeTags', () => new scaling.DescribeTagsCommand({ Filters: [{ Name: 'auto-scaling-group', Values: ['web'] }] }));
  await step('DeleteTags', () => new scaling.DeleteTagsCommand({ Tags: [tag] }));
  const hook = {
    ...web,
    LifecycleHookName: 'launch',
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
    HeartbeatTimeout: 60,
    DefaultResult: 'ABANDON',
  };
  await step('PutLifecycleHook', () => new scaling.PutLifecycleHookCommand(hook));
  await step('DescribeLifecycleHooks', () => new scaling.DescribeLifecycleHooksCommand(web));
  await step('DeleteLifecycleHook', () => new scaling.DeleteLifecycleHookCommand({ ...web, LifecycleHookName: 'launch' }));
  await step('SuspendProcesses', () => new scaling.SuspendProcessesCommand({ ...web, ScalingProcesses: ['Launch'] }));
  await step('DescribeAutoScalingGroups suspended', () => new scaling.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['web'] }));
  await step('ResumeProcesses', () => new scaling.ResumeProcessesCommand({ ...web, ScalingProcesses: ['Launch'] }));
  await step('UpdateAutoScalingGroup', () => new scaling.UpdateAutoScalingGroupCommand({ ...web, MaxSize: 3, DefaultCooldown: 60 }));
  await step('UpdateAutoScalingGroup of none', () => new scaling.UpdateAutoScalingGroupCommand({ ...gone, MaxSize: 3 }));
  await step('SetDesiredCapacity above', () => new scaling.SetDesiredCapacityCommand({ ...web, DesiredCapacity: 9 }));
  await step('SetDesiredCapacity', () => new scaling.SetDesiredCapacityCommand({ ...web, DesiredCapacity: 1 }));
  for (const client of [ours, theirs]) {
    await eventually(
      async () => (await client.send(new scaling.DescribeAutoScalingInstancesCommand({}))).AutoScalingInstances ?? [],
      ([instance]) => instance?.LifecycleState === 'InService',
    );
  }
  await step('DescribeAutoScalingGroups with one', () => new scaling.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['web'] }));
  await step('DescribeAutoScalingInstances', () => new scaling.DescribeAutoScalingInstancesCommand({}));
  await step('SetInstanceProtection', (_, id) => new scaling.SetInstanceProtectionCommand({ ...web, InstanceIds: [id], ProtectedFromScaleIn: true }));
  await step('EnterStandby', (_, id) => new scaling.EnterStandbyCommand({ ...web, InstanceIds: [id], ShouldDecrementDesiredCapacity: true }));
  await step('ExitStandby', (_, id) => new scaling.ExitStandbyCommand({ ...web, InstanceIds: [id] }));
  await step('SetInstanceHealth', (_, id) => new scaling.SetInstanceHealthCommand({ InstanceId: id, HealthStatus: 'Healthy' }));
  await step('DeleteAutoScalingGroup with one', () => new scaling.DeleteAutoScalingGroupCommand(web));
  await step('DeleteAutoScalingGroup by force', () => new scaling.DeleteAutoScalingGroupCommand({ ...web, ForceDelete: true }));
  await step('DeleteAutoScalingGroup of none', () => new scaling.DeleteAutoScalingGroupCommand(gone));
  t.same([...found].sort(), documented('autoscaling/autoscaling.md').sort());
});

const anInstance = async (client: scaling.AutoScalingClient): Promise<string> =>
  (await client.send(new scaling.DescribeAutoScalingInstancesCommand({}))).AutoScalingInstances?.[0]?.InstanceId ?? '';

t.test('the Describe actions of the balancer answer as moto does, but for what load-balancer.md lists', async (t) => {
  const theirs = new balancing.ElasticLoadBalancingV2Client({ ...given, endpoint: moto.endpoint });
  const ec2 = new EC2Client({ ...given, endpoint: moto.endpoint });
  const { Vpc: vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: '10.1.0.0/16' }));
  const subnets = await Promise.all(
    ['a', 'b'].map(async (zone, at) => {
      const subnet = { VpcId: vpc?.VpcId, CidrBlock: `10.1.${at}.0/24`, AvailabilityZone: `${region}${zone}` };
      return (await ec2.send(new CreateSubnetCommand(subnet))).Subnet?.SubnetId ?? '';
    }),
  );
  const { LoadBalancers: [balancer] = [] } = await theirs.send(new balancing.CreateLoadBalancerCommand({ Name: 'web', Subnets: subnets, Scheme: 'internal' }));
  const group = {
    ...{ Name: 'web', Port: 8_000, VpcId: vpc?.VpcId, Matcher: { HttpCode: '200' } },
    ...{ HealthCheckPort: '8081', HealthCheckPath: '/readyz', HealthCheckIntervalSeconds: 5, HealthCheckTimeoutSeconds: 4 },
    ...{ HealthyThresholdCount: 2, UnhealthyThresholdCount: 2 },
  };
  const { TargetGroups: [made] = [] } = await theirs.send(new balancing.CreateTargetGroupCommand({ ...group, Protocol: 'HTTP', TargetType: 'instance' }));
  const forward = { LoadBalancerArn: balancer?.LoadBalancerArn, Protocol: 'HTTP', Port: 80 } as const;
  await theirs.send(new balancing.CreateListenerCommand({ ...forward, DefaultActions: [{ Type: 'forward', TargetGroupArn: made?.TargetGroupArn }] }));
  const settings = {
    ...{ name: 'web', port: 8_000, deregistrationDelayMs: 300_000, idleTimeoutMs: 60_000 },
    healthCheck: { port: 8_081, path: '/readyz', intervalMs: 5_000, timeoutMs: 4_000, healthyThreshold: 2, unhealthyThreshold: 2 },
  };
  const service = createService({
    ...{ settings, loadBalancerArn: balancer?.LoadBalancerArn ?? '', host: '127.0.0.1' },
    group: { arn: made?.TargetGroupArn ?? '', async register() {}, async deregister() {}, health: async () => [] },
  });
  const gateway = await startGateway({ owned: { elasticloadbalancing: { service, dialect: 'query' } }, rest: 'http://127.0.0.1:9' });
  t.teardown(gateway.stop);
  const ours = new balancing.ElasticLoadBalancingV2Client({ ...given, endpoint: gateway.endpoint });
  const found = new Set<string>();
  const [group1, other] = [{ TargetGroupArn: made?.TargetGroupArn }, { TargetGroupArn: `${made?.TargetGroupArn}0` }];
  const calls: Readonly<Record<string, () => unknown>> = {
    DescribeLoadBalancers: () => new balancing.DescribeLoadBalancersCommand({ LoadBalancerArns: [balancer?.LoadBalancerArn ?? ''] }),
    'DescribeLoadBalancers of none': () => new balancing.DescribeLoadBalancersCommand({ Names: ['gone'] }),
    DescribeLoadBalancerAttributes: () => new balancing.DescribeLoadBalancerAttributesCommand({ LoadBalancerArn: balancer?.LoadBalancerArn }),
    DescribeTargetGroups: () => new balancing.DescribeTargetGroupsCommand({ TargetGroupArns: [made?.TargetGroupArn ?? ''] }),
    'DescribeTargetGroups of none': () => new balancing.DescribeTargetGroupsCommand({ Names: ['gone'] }),
    DescribeTargetGroupAttributes: () => new balancing.DescribeTargetGroupAttributesCommand(group1),
    DescribeTargetHealth: () => new balancing.DescribeTargetHealthCommand(group1),
    'DescribeTargetHealth of none': () => new balancing.DescribeTargetHealthCommand(other),
    'DescribeTargetHealth of another': () => new balancing.DescribeTargetHealthCommand({ ...group1, Targets: [{ Id: 'i-0123456789abcdef0' }] }),
  };
  for (const [call, make] of Object.entries(calls)) {
    const [here = {}, there = {}] = await Promise.all([ours, theirs].map((client) => said(client.send(make() as never))));
    for (const [path, mine, its] of differences(here, there)) {
      // Of attributes ours has those that are read.
      if (path.startsWith('Attributes.') && mine === undefined) continue;
      found.add(`${call} ${path}`);
      t.comment(`${call}: ${path}: here ${JSON.stringify(mine)}, moto ${JSON.stringify(its)}`);
    }
  }
  t.same([...found].sort(), documented('load-balancer/load-balancer.md').sort());
});
