import { DescribeLifecycleHooksCommand } from '@aws-sdk/client-auto-scaling';
import { DescribeLaunchTemplatesCommand, DescribeSecurityGroupsCommand, type SecurityGroup } from '@aws-sdk/client-ec2';
import { DescribeLoadBalancersCommand, DescribeTargetGroupsCommand, type TargetGroup } from '@aws-sdk/client-elastic-load-balancing-v2';
import { type CauseCode, Failure } from '../../contract/causes.ts';
import type { Infrastructure } from '../../contract/infrastructure.ts';
import { type Margins, unfitTimes } from '../../contract/times.ts';
import { ask, type RolloutClients } from '../aws.ts';
import { bootProblem } from './bootable.ts';
import type { Context } from './context.ts';
import { appTimes } from './deploy.ts';
import { type Alarm, readAlarms } from './facts.ts';
import { maxHealthyPercentage, parameterCalls, ssmCallsPerSecond, surgeOf } from './plan.ts';
import { unfit } from './preflight.ts';
import { labelled, readSituation, type Situation } from './situation.ts';

/** One thing that a deploy or an instance relies on, and what is wrong with it, if anything. */
export type Check = { readonly check: string; readonly problem: string | undefined };

/** The ports and the path of every image (docs/image.md). */
const image = { trafficPort: 8_000, healthPort: 8_081, healthPath: '/readyz' };
/** Versions that one launch template can have (EC2 quotas). */
const templateVersionQuota = 10_000;

/** Every check, in the order in which one would mend them. What cannot be read at all ends it, by its own cause. Throws INFRASTRUCTURE_*, GROUP_MISSING, AWS_*. */
export async function examine({ clients, place, app, pace, signal }: Context): Promise<readonly Check[]> {
  const situation = await readSituation(clients, place, signal);
  const { infrastructure, releases, live, base } = situation;
  const [newest] = releases;
  const target = newest !== undefined && 'record' in newest ? newest : undefined;
  const unread =
    newest === undefined
      ? 'there is none yet'
      : 'problem' in newest
        ? `its record is not valid at ${newest.problem.path}: ${newest.problem.problem}`
        : undefined;
  const previous = labelled(releases, 'previous');
  const [alarms, targetGroup, hooks, versions, path, newestProblem, liveProblem, previousProblem] = await Promise.all([
    readAlarms(clients.cloudWatch, infrastructure.alarms, signal),
    attempt(() => readTargetGroup(clients, infrastructure, signal)),
    attempt(() => readHooks(clients, infrastructure, signal)),
    attempt(() => countVersions(clients, infrastructure.launchTemplateId, signal)),
    attempt(() => securityPath(clients, situation, signal)),
    attempt(() => (target === undefined ? Promise.resolve(unread) : bootProblem(clients, place, target, signal))),
    attempt(() => (live === undefined ? Promise.resolve(undefined) : bootProblem(clients, place, live, signal))),
    attempt(() => (previous === undefined ? Promise.resolve(undefined) : bootProblem(clients, place, previous, signal))),
  ]);
  const configNames = Object.keys(target?.record.config ?? {}).length;
  return [
    { check: 'the infrastructure document is readable and valid', problem: undefined },
    { check: 'the group can take a deploy, and its rollback', problem: unfit(situation)?.message },
    { check: 'the base version exists', problem: base === undefined ? `${infrastructure.launchTemplateId} has no default version` : undefined },
    ...timesChecks(infrastructure, app.gunicorn, pace),
    ...alarms.map(alarmCheck),
    {
      check: `the target group has the image's ports ${image.trafficPort} and ${image.healthPort}, and asks ${image.healthPath}`,
      problem: said(targetGroup, portProblem),
    },
    { check: 'both lifecycle hooks exist, with the heartbeats of the document', problem: said(hooks, (found) => hookProblem(infrastructure, found)) },
    { check: 'the balancer reaches both ports of an instance', problem: said(path, (problem) => problem) },
    {
      check: `the launch template has room: ${typeof versions === 'number' ? versions : 'unknown'} of ${templateVersionQuota} versions`,
      problem: said(versions, (count) => (count > 0.9 * templateVersionQuota ? 'delete versions that no release needs' : undefined)),
    },
    { check: `the newest release could be booted${newest === undefined ? '' : ` (${newest.release})`}`, problem: said(newestProblem, (problem) => problem) },
    { check: `the live release could be booted again${live === undefined ? '' : ` (${live.release})`}`, problem: said(liveProblem, (problem) => problem) },
    {
      check: `the release before it could be booted again${previous === undefined ? '' : ` (${previous.release})`}`,
      problem: said(previousProblem, (problem) => problem),
    },
    quotaCheck(situation, configNames),
  ];
}

/** A check that may not be read is a finding, not the end. */
const attempt = <T>(work: () => Promise<T>): Promise<T | Failure> =>
  work().catch((thrown) => {
    if (thrown instanceof Failure && (['AWS_DENIED', 'AWS_REFUSED'] satisfies CauseCode[]).includes(thrown.code as 'AWS_DENIED')) return thrown;
    throw thrown;
  });
const said = <T>(found: T | Failure, problemOf: (found: T) => string | undefined): string | undefined =>
  found instanceof Failure ? found.message : problemOf(found);

const alarmCheck = ({ name, state }: Alarm): Check => ({
  check: `the alarm ${name} is OK`,
  problem: state === 'OK' ? undefined : state === undefined ? 'it does not exist' : `it is in ${state}`,
});

function timesChecks({ times }: Infrastructure, gunicorn: Parameters<typeof appTimes>[0], margins: Margins): readonly Check[] {
  const unfit = unfitTimes(times, appTimes(gunicorn), margins);
  return [{ check: 'the times fit each other', problem: unfit.length === 0 ? undefined : unfit.join('; ') }];
}

/** All that starts at once, against the quota of the account; an agent retries with full jitter, so that this costs time and no instance. */
function quotaCheck({ group, infrastructure }: Situation, configNames: number): Check {
  const calls = parameterCalls(configNames);
  const atOnce = surgeOf(group.desired, { maxHealthyPercentage: maxHealthyPercentage(group.desired) });
  const most = Math.max(atOnce, group.maxSize);
  const seconds = Math.ceil((calls * most) / ssmCallsPerSecond);
  return {
    check: `Parameter Store: ${calls} calls a boot, ${calls * most} if all ${most} start at once: ${seconds} s at ${ssmCallsPerSecond} a second`,
    problem:
      1_000 * seconds > infrastructure.times.bootBudgetMs / 2
        ? 'that is more than half of the boot budget: raise the throughput of Parameter Store'
        : undefined,
  };
}

async function readTargetGroup({ loadBalancing }: RolloutClients, { targetGroupArn }: Infrastructure, signal: AbortSignal): Promise<TargetGroup | undefined> {
  const command = new DescribeTargetGroupsCommand({ TargetGroupArns: [targetGroupArn] });
  return (await ask('DescribeTargetGroups', targetGroupArn, () => loadBalancing.send(command, { abortSignal: signal }))).TargetGroups?.[0];
}

function portProblem(group: TargetGroup | undefined): string | undefined {
  if (group === undefined) return 'it does not exist';
  const { Port: port, HealthCheckPort: healthPort, HealthCheckPath: path } = group;
  const isImages = port === image.trafficPort && healthPort === String(image.healthPort) && path === image.healthPath;
  return isImages ? undefined : `it has ${port} and ${healthPort}, and asks ${path}`;
}

type Hooks = ReadonlyMap<string, { readonly transition: string; readonly heartbeatMs: number }>;

async function readHooks({ autoScaling }: RolloutClients, { autoScalingGroup }: Infrastructure, signal: AbortSignal): Promise<Hooks> {
  const command = new DescribeLifecycleHooksCommand({ AutoScalingGroupName: autoScalingGroup });
  const { LifecycleHooks: found = [] } = await ask('DescribeLifecycleHooks', autoScalingGroup, () => autoScaling.send(command, { abortSignal: signal }));
  return new Map(
    found.map((hook) => [hook.LifecycleHookName ?? '', { transition: hook.LifecycleTransition ?? '', heartbeatMs: 1_000 * (hook.HeartbeatTimeout ?? 0) }]),
  );
}

function hookProblem({ hooks, times }: Infrastructure, found: Hooks): string | undefined {
  const wanted = [
    [hooks.launch, 'autoscaling:EC2_INSTANCE_LAUNCHING', times.launchHeartbeatMs],
    [hooks.terminate, 'autoscaling:EC2_INSTANCE_TERMINATING', times.terminateHeartbeatMs],
  ] as const;
  const problems = wanted.flatMap(([name, transition, heartbeatMs]) => {
    const hook = found.get(name);
    if (hook === undefined || hook.transition !== transition) return [`there is no ${name} for ${transition}`];
    return hook.heartbeatMs === Math.ceil(heartbeatMs / 1_000) * 1_000
      ? []
      : [`${name} has a heartbeat of ${hook.heartbeatMs} ms, the document says ${heartbeatMs}`];
  });
  return problems.length === 0 ? undefined : problems.join('; ');
}

async function countVersions({ ec2 }: RolloutClients, templateId: string, signal: AbortSignal): Promise<number> {
  const command = new DescribeLaunchTemplatesCommand({ LaunchTemplateIds: [templateId] });
  const { LaunchTemplates: found = [] } = await ask('DescribeLaunchTemplates', templateId, () => ec2.send(command, { abortSignal: signal }));
  return found[0]?.LatestVersionNumber ?? 0;
}

/** Whether the security groups of an instance let the balancer's in on both ports; what is wrong otherwise. */
async function securityPath({ ec2, loadBalancing }: RolloutClients, { infrastructure, base }: Situation, signal: AbortSignal): Promise<string | undefined> {
  const targetGroup = await readTargetGroup({ loadBalancing } as RolloutClients, infrastructure, signal);
  const [arn] = targetGroup?.LoadBalancerArns ?? [];
  if (arn === undefined) return 'the target group belongs to no load balancer';
  const balancers = new DescribeLoadBalancersCommand({ LoadBalancerArns: [arn] });
  const { LoadBalancers: [balancer] = [] } = await ask('DescribeLoadBalancers', arn, () => loadBalancing.send(balancers, { abortSignal: signal }));
  const data = JSON.parse(base?.data ?? '{}') as { SecurityGroupIds?: string[]; NetworkInterfaces?: { Groups?: string[] }[] };
  const ids = data.SecurityGroupIds ?? data.NetworkInterfaces?.flatMap(({ Groups = [] }) => Groups) ?? [];
  if (ids.length === 0) return 'the base version names no security group';
  const groups = new DescribeSecurityGroupsCommand({ GroupIds: ids });
  const { SecurityGroups: found = [] } = await ask('DescribeSecurityGroups', ids.join(', '), () => ec2.send(groups, { abortSignal: signal }));
  const closed = [image.trafficPort, image.healthPort].filter((port) => !found.some((group) => letsIn(group, port, balancer?.SecurityGroups ?? [])));
  return closed.length === 0
    ? undefined
    : `${ids.join(', ')} ${ids.length === 1 ? 'lets' : 'let'} ${balancer?.SecurityGroups?.join(', ') ?? 'the balancer'} not in on ${closed.join(' and ')}`;
}

const letsIn = ({ IpPermissions: rules = [] }: SecurityGroup, port: number, from: readonly string[]): boolean =>
  rules.some(
    ({ IpProtocol, FromPort = 0, ToPort = 65_535, UserIdGroupPairs: pairs = [] }) =>
      (IpProtocol === '-1' || (IpProtocol === 'tcp' && FromPort <= port && port <= ToPort)) && pairs.some(({ GroupId }) => from.includes(GroupId ?? '')),
  );
