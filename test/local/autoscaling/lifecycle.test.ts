import {
  CompleteLifecycleActionCommand,
  DeleteAutoScalingGroupCommand,
  DeleteLifecycleHookCommand,
  DescribeLifecycleHooksCommand,
  DescribeScalingActivitiesCommand,
  EnterStandbyCommand,
  ExitStandbyCommand,
  PutLifecycleHookCommand,
  RecordLifecycleActionHeartbeatCommand,
  ResumeProcessesCommand,
  SetDesiredCapacityCommand,
  SetInstanceHealthCommand,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import t from 'tap';
import { ServiceError } from '../../../local/wire/query.ts';
import { eventually } from '../../support/eventually.ts';
import { openLab } from './lab.ts';

const group = { AutoScalingGroupName: 'web' };
type Lab = Awaited<ReturnType<typeof openLab>>;

const hook = ({ client }: Lab, name: 'launch' | 'terminate', HeartbeatTimeout = 7200, DefaultResult = 'ABANDON') =>
  client.send(
    new PutLifecycleHookCommand({
      ...{ ...group, LifecycleHookName: name, HeartbeatTimeout, DefaultResult },
      LifecycleTransition: `autoscaling:EC2_INSTANCE_${name === 'launch' ? 'LAUNCHING' : 'TERMINATING'}`,
    }),
  );
const complete = ({ client }: Lab, name: string, InstanceId: string, LifecycleActionResult = 'CONTINUE') =>
  client.send(new CompleteLifecycleActionCommand({ ...group, LifecycleHookName: name, InstanceId, LifecycleActionResult }));
const beat = ({ client }: Lab, name: string, InstanceId: string) =>
  client.send(new RecordLifecycleActionHeartbeatCommand({ ...group, LifecycleHookName: name, InstanceId }));
const setDesired = ({ client }: Lab, DesiredCapacity: number) => client.send(new SetDesiredCapacityCommand({ ...group, DesiredCapacity }));
const suspend = ({ client }: Lab, ...ScalingProcesses: string[]) => client.send(new SuspendProcessesCommand({ ...group, ScalingProcesses }));
const activities = async ({ client }: Lab) => (await client.send(new DescribeScalingActivitiesCommand(group))).Activities ?? [];
const stateOf = async ({ describe }: Lab, id: string) => (await describe()).Instances.find(({ InstanceId }) => InstanceId === id)?.LifecycleState;

const noAction = (id: string) => ({
  name: 'ValidationError',
  message: `No active Lifecycle Action found with instance ID ${id}`,
  $metadata: { httpStatusCode: 400 },
});

/** A group whose instances wait for the test. */
async function hooked(t: Parameters<typeof openLab>[0], desired = 1) {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 0, MaxSize: 4 });
  await hook(lab, 'launch');
  await hook(lab, 'terminate');
  await setDesired(lab, desired);
  return lab;
}

t.test('N09: ready before Pending:Wait is "not yet"; then the instance is registered and in service before the balancer finds it healthy', async (t) => {
  const lab = await hooked(t, 0);
  const { promise, resolve: start } = Promise.withResolvers<void>();
  Object.assign(lab.lab, { firstHealth: 'initial', launching: promise });
  await setDesired(lab, 1);
  const id = await lab.one('Pending');
  await t.rejects(complete(lab, 'launch', id), noAction(id));
  await t.rejects(beat(lab, 'launch', id), noAction(id));
  start();
  await lab.one('Pending:Wait');
  t.same(lab.lab.machines.get(id)?.did, [], 'no traffic before it is complete');
  await t.rejects(complete(lab, 'terminate', id), noAction(id), 'another hook');
  await complete(lab, 'launch', id);
  await lab.inService(1);
  t.same(lab.lab.machines.get(id)?.did, ['registered']);
  t.equal(lab.lab.health.get(id), 'initial');
  await t.rejects(complete(lab, 'launch', id), noAction(id), 'a second time');
});

t.test('S42: a scale-in says Terminated, drains, waits for the hook, and powers off, in this order', async (t) => {
  const lab = await hooked(t);
  const id = await lab.one('Pending:Wait');
  await complete(lab, 'launch', id);
  await lab.inService(1);
  const { promise, resolve: letGo } = Promise.withResolvers<void>();
  lab.lab.drained = () => promise;
  await setDesired(lab, 0);
  await lab.one('Terminating');
  const machine = lab.lab.machines.get(id);
  t.same(machine?.target, ['Terminated'], 'from the beginning');
  await eventually(() => machine?.did.includes('draining'), Boolean);
  await t.rejects(complete(lab, 'terminate', id), noAction(id), 'N09: it still drains');
  t.equal(await stateOf(lab, id), 'Terminating');
  letGo();
  await lab.one('Terminating:Wait');
  t.same(machine?.did, ['registered', 'draining', 'drained']);
  await beat(lab, 'terminate', id);
  await complete(lab, 'terminate', id);
  await eventually(lab.describe, ({ Instances }) => Instances.length === 0);
  t.same(machine?.did, ['registered', 'draining', 'drained', 'off']);
  t.match(await activities(lab), [{ Description: `Terminating EC2 instance: ${id}`, StatusCode: 'Successful', Cause: /shrinking the capacity to 0/ }]);
});

t.test('N03: an abandoned launch is ended and another begins, unless Launch is suspended', async (t) => {
  const lab = await hooked(t);
  const first = await lab.one('Pending:Wait');
  await complete(lab, 'launch', first, 'ABANDON');
  const second = await eventually(
    () => lab.one('Pending:Wait'),
    (id) => id !== first,
  );
  const launches = (await activities(lab)).filter(({ Description }) => Description?.startsWith(`Launching a new EC2 instance: ${first}`));
  t.match(launches, [
    { StatusCode: 'Cancelled', StatusMessage: /^Instance failed to complete user's Lifecycle Action: .* Lifecycle Action Completed with ABANDON Result$/ },
  ]);
  t.same(lab.lab.machines.get(first)?.did, ['off'], 'never registered, and no hook of a termination');
  await suspend(lab, 'Launch');
  await complete(lab, 'launch', second, 'ABANDON');
  await eventually(lab.describe, ({ Instances }) => Instances.length === 0);
  t.equal(lab.lab.machines.size, 2);
  await lab.client.send(new ResumeProcessesCommand({ ...group, ScalingProcesses: ['Launch'] }));
  await lab.one('Pending:Wait');
  t.equal(lab.lab.machines.size, 3);
});

t.test('N04: without an answer the hook ends with its default result', async (t) => {
  const lab = await openLab(t, { secondMs: 2 });
  await lab.create({ DesiredCapacity: 0 });
  await hook(lab, 'launch', 30, 'CONTINUE');
  await setDesired(lab, 1);
  const [first] = await lab.inService(1);
  await hook(lab, 'launch', 30, 'ABANDON');
  await setDesired(lab, 2);
  const ended = await eventually(
    async () => (await activities(lab)).find(({ StatusCode }) => StatusCode === 'Cancelled'),
    (found) => found !== undefined,
  );
  t.match(ended?.StatusMessage, /was abandoned: Heartbeat Timeout$/);
  t.same(
    (await lab.serving()).map(({ InstanceId }) => InstanceId),
    [first?.InstanceId],
  );
});

t.test('hooks are described with their limits; to delete one ends what waits for it', async (t) => {
  const lab = await hooked(t);
  const { LifecycleHooks } = await lab.client.send(new DescribeLifecycleHooksCommand(group));
  t.match(LifecycleHooks, [
    {
      LifecycleHookName: 'launch',
      HeartbeatTimeout: 7200,
      GlobalTimeout: 172_800,
      DefaultResult: 'ABANDON',
      LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
    },
    { LifecycleHookName: 'terminate' },
  ]);
  await t.rejects(hook(lab, 'launch', 29), { name: 'ValidationError' });
  const id = await lab.one('Pending:Wait');
  await lab.client.send(new DeleteLifecycleHookCommand({ ...group, LifecycleHookName: 'launch' }));
  await lab.inService(1);
  t.not((await lab.serving())[0]?.InstanceId, id, 'the launch that waited was abandoned');
});

t.test('an instance that stops by itself is replaced; while HealthCheck or ReplaceUnhealthy is suspended it stays', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 2 });
  const [first, second] = await lab.inService(2);
  await suspend(lab, 'HealthCheck');
  lab.lab.machines.get(first?.InstanceId ?? '')?.end();
  lab.lab.machines.get(second?.InstanceId ?? '')?.end();
  await lab.looks(3);
  t.same(
    (await lab.describe()).Instances.map(({ HealthStatus }) => HealthStatus),
    ['Healthy', 'Healthy'],
  );
  await suspend(lab, 'ReplaceUnhealthy');
  await lab.client.send(new ResumeProcessesCommand({ ...group, ScalingProcesses: ['HealthCheck'] }));
  await eventually(lab.describe, ({ Instances }) => Instances.every(({ HealthStatus }) => HealthStatus === 'Unhealthy'));
  t.equal(lab.lab.machines.size, 2);
  await lab.client.send(new ResumeProcessesCommand(group));
  await eventually(
    lab.serving,
    (now) => now.length === 2 && !now.some(({ InstanceId }) => InstanceId === first?.InstanceId || InstanceId === second?.InstanceId),
  );
  const causes = (await activities(lab)).map(({ Cause }) => Cause);
  t.ok(causes.some((cause) => /an EC2 health check indicating it has been terminated or stopped/.test(cause ?? '')));
  t.ok(causes.some((cause) => /an instance was launched in response to an unhealthy instance needing to be replaced/.test(cause ?? '')));
});

t.test('an unhealthy target is replaced after the grace period, and only where the group checks targets', async (t) => {
  const lab = await openLab(t);
  lab.lab.firstHealth = 'unhealthy';
  await lab.create({ DesiredCapacity: 1, HealthCheckGracePeriod: 20 });
  const began = performance.now();
  await lab.inService(1);
  const { Activities = [] } = await eventually(
    () => lab.client.send(new DescribeScalingActivitiesCommand(group)),
    ({ Activities: all = [] }) => all.some(({ Description }) => Description?.startsWith('Terminating')),
  );
  t.ok(performance.now() - began >= 200, 'twenty seconds of ten milliseconds');
  t.match(Activities.find(({ Description }) => Description?.startsWith('Terminating'))?.Cause, /ELB system health check failure/);
  const other = await openLab(t);
  other.lab.firstHealth = 'unhealthy';
  await other.create({ DesiredCapacity: 1, HealthCheckType: 'EC2' });
  const [only] = await other.inService(1);
  await other.looks(5);
  t.equal((await other.serving())[0]?.InstanceId, only?.InstanceId);
});

t.test('SetInstanceHealth respects the grace period unless it says otherwise', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 1, HealthCheckGracePeriod: 3600 });
  const [only] = await lab.inService(1);
  const InstanceId = only?.InstanceId ?? '';
  await lab.client.send(new SetInstanceHealthCommand({ InstanceId, HealthStatus: 'Unhealthy' }));
  t.equal((await lab.serving())[0]?.HealthStatus, 'Healthy');
  await lab.client.send(new SetInstanceHealthCommand({ InstanceId, HealthStatus: 'Unhealthy', ShouldRespectGracePeriod: false }));
  await eventually(lab.serving, ([now]) => now !== undefined && now.InstanceId !== InstanceId);
});

t.test('N11: Standby is out of the balancer, not checked, and back by request', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 2, MinSize: 1 });
  const [first] = await lab.inService(2);
  const InstanceIds = [first?.InstanceId ?? ''];
  const { Activities } = await lab.client.send(new EnterStandbyCommand({ ...group, InstanceIds, ShouldDecrementDesiredCapacity: true }));
  t.match(Activities, [{ Cause: /was moved to standby in response to a user request, shrinking the capacity from 2 to 1\.$/ }]);
  t.equal(await lab.one('Standby'), InstanceIds[0]);
  t.equal((await lab.describe()).DesiredCapacity, 1);
  t.same(lab.lab.machines.get(InstanceIds[0] ?? '')?.did, ['registered', 'draining', 'drained']);
  const [second] = await lab.serving();
  await t.rejects(lab.client.send(new EnterStandbyCommand({ ...group, InstanceIds: [second?.InstanceId ?? ''], ShouldDecrementDesiredCapacity: true })), {
    message:
      'AutoScalingGroup web has min-size=1, max-size=20, and desired-size=1. To place into standby 1 instance, please update the AutoScalingGroup sizes appropriately.',
  });
  await lab.client.send(new ExitStandbyCommand({ ...group, InstanceIds }));
  await lab.inService(2);
  t.equal((await lab.describe()).DesiredCapacity, 2);
  t.equal(lab.lab.machines.size, 2, 'nothing was launched for it');
  await lab.client.send(new EnterStandbyCommand({ ...group, InstanceIds, ShouldDecrementDesiredCapacity: false }));
  await lab.inService(2);
  t.equal(lab.lab.machines.size, 3, 'now there was');
});

t.test('N11: a protected instance is not scaled in', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 3 });
  const [oldest] = await lab.inService(3);
  const InstanceIds = [oldest?.InstanceId ?? ''];
  await lab.client.send(new SetInstanceProtectionCommand({ ...group, InstanceIds, ProtectedFromScaleIn: true }));
  await setDesired(lab, 1);
  const [left] = await lab.inService(1);
  t.match(left, { InstanceId: InstanceIds[0], ProtectedFromScaleIn: true });
  await setDesired(lab, 0);
  await t.rejects(lab.client.send(new SetInstanceProtectionCommand({ ...group, InstanceIds: ['i-other'], ProtectedFromScaleIn: true })), {
    message: 'The instance i-other is not part of Auto Scaling group web.',
  });
  t.equal((await lab.serving()).length, 1);
});

t.test('F53: nothing is launched, ended or registered while its process is suspended', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 0 });
  await suspend(lab, 'AddToLoadBalancer');
  await setDesired(lab, 1);
  const [only] = await lab.inService(1);
  t.same(lab.lab.machines.get(only?.InstanceId ?? '')?.did, []);
  await suspend(lab, 'Terminate', 'Launch');
  t.same(
    (await lab.describe()).SuspendedProcesses?.map(({ ProcessName }) => ProcessName),
    ['AddToLoadBalancer', 'Terminate', 'Launch'],
  );
  await setDesired(lab, 0);
  await setDesired(lab, 2);
  await lab.looks(3);
  t.equal(lab.lab.machines.size, 1);
  t.equal((await lab.serving()).length, 1);
  await t.rejects(suspend(lab, 'Nothing'), { name: 'ValidationError' });
});

t.test('F53: a launch that EC2 refuses is a failed activity, and is tried again', async (t) => {
  const lab = await openLab(t);
  lab.lab.launchError = new ServiceError('InsufficientInstanceCapacity', 'There is no capacity');
  await lab.create({ DesiredCapacity: 1 });
  const failed = await eventually(
    () => activities(lab),
    (all) => all.length > 1,
  );
  t.match(failed.at(-1), {
    StatusCode: 'Failed',
    StatusMessage: 'There is no capacity. Launching EC2 instance failed.',
    Cause: /a user request created an AutoScalingGroup/,
  });
  lab.lab.launchError = undefined;
  await lab.inService(1);
});

t.test('TerminateInstanceInAutoScalingGroup replaces the instance or lowers the capacity', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 2, MinSize: 1 });
  const end = async (ShouldDecrementDesiredCapacity: boolean) => {
    const [first] = await lab.serving();
    const InstanceId = first?.InstanceId ?? '';
    const answer = await lab.client.send(new TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity }));
    t.equal(answer.Activity?.Description, `Terminating EC2 instance: ${InstanceId}`);
    await eventually(() => lab.lab.machines.get(InstanceId)?.did.includes('off'), Boolean);
  };
  await lab.inService(2);
  await end(false);
  await lab.inService(2);
  t.equal(lab.lab.machines.size, 3);
  await end(true);
  t.equal((await lab.describe()).DesiredCapacity, 1);
  await t.rejects(end(true), { message: /^Currently, desiredSize equals minSize \(1\)/ });
});

t.test('DeleteAutoScalingGroup refuses while there are instances, and by force waits for no hook', async (t) => {
  const lab = await hooked(t, 2);
  const id = await lab.one('Pending:Wait');
  await complete(lab, 'launch', id);
  await lab.inService(1);
  await setDesired(lab, 0);
  await lab.one('Terminating:Wait');
  await t.rejects(lab.client.send(new DeleteAutoScalingGroupCommand(group)), { name: 'ResourceInUseFault' });
  await lab.client.send(new DeleteAutoScalingGroupCommand({ ...group, ForceDelete: true }));
  await eventually(lab.describe, ({ AutoScalingGroupName }) => AutoScalingGroupName === undefined);
  t.ok([...lab.lab.machines.values()].every(({ did }) => did.includes('off')));
});
