import {
  CancelInstanceRefreshCommand,
  CompleteLifecycleActionCommand,
  EnterStandbyCommand,
  ExitStandbyCommand,
  PutLifecycleHookCommand,
  ResumeProcessesCommand,
  RollbackInstanceRefreshCommand,
  SetDesiredCapacityCommand,
  SetInstanceProtectionCommand,
  StartInstanceRefreshCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import t from 'tap';
import type { InstanceId } from '../../../contract/names.ts';
import { eventually } from '../../support/eventually.ts';
import { openLab, templateId } from './lab.ts';

const group = { AutoScalingGroupName: 'web' };
type Lab = Awaited<ReturnType<typeof openLab>>;

const rollBack = ({ client }: Lab) => client.send(new RollbackInstanceRefreshCommand(group));
const setDesired = ({ client }: Lab, DesiredCapacity: number) => client.send(new SetDesiredCapacityCommand({ ...group, DesiredCapacity }));
const idsOf = (instances: readonly { readonly InstanceId?: string | undefined }[]) => instances.map(({ InstanceId }) => InstanceId ?? '').toSorted();

/** A group whose launches from now on wait for the test. */
async function waiting(t: Parameters<typeof openLab>[0], desired: number) {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: desired });
  const old = await lab.inService(desired, '1');
  const LifecycleTransition = 'autoscaling:EC2_INSTANCE_LAUNCHING';
  await lab.client.send(new PutLifecycleHookCommand({ ...group, LifecycleHookName: 'launch', HeartbeatTimeout: 7200, LifecycleTransition }));
  const complete = async (LifecycleActionResult = 'CONTINUE') => {
    const InstanceId = await lab.one('Pending:Wait');
    await lab.client.send(new CompleteLifecycleActionCommand({ ...group, LifecycleHookName: 'launch', InstanceId, LifecycleActionResult }));
    return InstanceId;
  };
  return { lab, complete, old: idsOf(old) };
}

/** Looks at the group all the time; gives the fewest instances in service that the balancer calls healthy, and the most that were there. */
function watch({ groups, lab }: Lab) {
  const seen = { fewest: Number.POSITIVE_INFINITY, most: 0 };
  const timer = setInterval(() => {
    const members = [...(groups.get('web')?.members.values() ?? [])];
    seen.fewest = Math.min(seen.fewest, members.filter(({ id, state }) => state === 'InService' && lab.health.get(id) === 'healthy').length);
    seen.most = Math.max(seen.most, members.filter(({ state }) => !state.startsWith('Terminating')).length);
  }, 1);
  return { seen, stop: () => clearInterval(timer) };
}

t.test('S47: a refresh replaces every instance within its bounds and then changes what the group launches', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 4 });
  await lab.inService(4, '1');
  lab.lab.firstHealth = 'initial';
  const heals = setInterval(() => {
    for (const [id, state] of lab.lab.health) if (state === 'initial') lab.lab.health.set(id, 'healthy');
  }, 20);
  t.teardown(() => clearInterval(heals));
  const { seen, stop } = watch(lab);
  t.teardown(stop);
  await lab.start();
  const ended = await lab.status('Successful');
  t.match(ended, { PercentageComplete: 100, InstancesToUpdate: 0, DesiredConfiguration: { LaunchTemplate: { Version: '2' } }, Strategy: 'Rolling' });
  t.equal(ended?.StatusReason, undefined);
  const now = await lab.describe();
  t.equal(now.LaunchTemplate?.Version, '2');
  t.same(
    now.Instances.map(({ LaunchTemplate, LifecycleState }) => `${LaunchTemplate?.Version} ${LifecycleState}`),
    Array(4).fill('2 InService'),
  );
  t.ok(seen.fewest >= 4, `never fewer than ${seen.fewest}`);
  t.ok(seen.most <= 6 && seen.most > 4, `never more than ${seen.most}`);
});

t.test('N13: an instance counts when the balancer says healthy and its warm-up is over', async (t) => {
  const { lab, complete, old } = await waiting(t, 2);
  lab.lab.firstHealth = 'initial';
  await lab.start({ InstanceWarmup: 30 });
  const first = await complete();
  await lab.inService(1, '2');
  const servesFor = (id: string) => performance.now() - (lab.groups.get('web')?.members.get(id as InstanceId)?.inServiceAtMs ?? 0);
  await eventually(
    () => servesFor(first),
    (ms) => ms > 300,
  );
  await lab.looks(2);
  t.match(await lab.refresh(), { Status: 'InProgress', PercentageComplete: 0, InstancesToUpdate: 2, StatusReason: new RegExp(`For example: ${first}`) });
  t.same(idsOf(await lab.serving('1')), old);
  Object.assign(lab.lab, { firstHealth: 'healthy' });
  lab.lab.health.set(first, 'healthy');
  await eventually(lab.refresh, (found) => found?.PercentageComplete === 50);
  const second = await complete();
  await lab.status('Successful');
  t.ok(servesFor(second) >= 300, 'healthy at once, and yet it waited');
});

t.test('F52: of two refreshes that start together one runs, and the other is told', async (t) => {
  const { lab } = await waiting(t, 1);
  const busy = {
    name: 'InstanceRefreshInProgressFault',
    message: 'An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.',
  };
  const { promise, resolve: goOn } = Promise.withResolvers<void>();
  lab.lab.resolving = promise;
  const before = lab.lab.lookUps;
  const asked = Promise.allSettled([lab.start(), lab.start()]);
  await eventually(
    () => lab.lab.lookUps,
    (now) => now === before + 2,
  );
  goOn();
  const both = await asked;
  t.same(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  t.match(
    both.find(({ status }) => status === 'rejected'),
    { reason: busy },
  );
  await t.rejects(lab.start(), busy, 'S49');
});

t.test('N05: a release that never becomes ready leaves every old instance in service, and goes back at once', async (t) => {
  const { lab, complete, old } = await waiting(t, 3);
  const { seen, stop } = watch(lab);
  t.teardown(stop);
  await lab.start();
  for (let i = 0; i < 4; i++) await complete('ABANDON');
  await lab.one('Pending:Wait');
  t.same(idsOf(await lab.serving()), old);
  t.match(await lab.refresh(), { Status: 'InProgress', PercentageComplete: 0, InstancesToUpdate: 3 });
  const { InstanceRefreshId } = await rollBack(lab);
  const ended = await lab.status('RollbackSuccessful');
  t.match(ended, { InstanceRefreshId, PercentageComplete: 0, InstancesToUpdate: 3 });
  t.match(ended?.RollbackDetails, { RollbackReason: /Manual rollback/, PercentageCompleteOnRollback: 0, InstancesToUpdateOnRollback: 3 });
  const now = await lab.describe();
  t.same(idsOf(now.Instances), old);
  t.equal(now.LaunchTemplate?.Version, '1');
  t.equal(seen.fewest, 3);
});

t.test('N05: a rollback replaces what was deployed and nothing else, while the percentage goes back', async (t) => {
  const { lab, complete, old } = await waiting(t, 4);
  const { seen, stop } = watch(lab);
  t.teardown(stop);
  await lab.start({ MaxHealthyPercentage: 125 });
  await complete();
  await eventually(lab.refresh, (found) => found?.PercentageComplete === 25);
  await complete();
  await eventually(lab.refresh, (found) => found?.PercentageComplete === 50);
  await lab.one('Pending:Wait');
  await rollBack(lab);
  t.match(await lab.refresh(), {
    Status: 'RollbackInProgress',
    InstancesToUpdate: 2,
    RollbackDetails: { PercentageCompleteOnRollback: 50, InstancesToUpdateOnRollback: 2 },
  });
  const seenPercentages = new Set<number | undefined>();
  const back = await complete();
  await eventually(lab.serving, (now) => now.some(({ InstanceId }) => InstanceId === back));
  await rollBack(lab);
  seenPercentages.add((await lab.refresh())?.PercentageComplete);
  await complete();
  const ended = await eventually(lab.refresh, (found) => {
    seenPercentages.add(found?.PercentageComplete);
    return found?.Status === 'RollbackSuccessful';
  });
  t.equal(ended?.PercentageComplete, 0);
  t.ok(Math.max(...[...seenPercentages].map(Number)) <= 50);
  const now = await lab.serving('1');
  t.equal(now.length, 4);
  t.equal(idsOf(now).filter((id) => old.includes(id)).length, 2, 'the two that were left alone');
  t.ok(idsOf(now).includes(back), 'and what went back already is not replaced once more');
  t.ok(seen.fewest >= 4 && seen.most <= 6, JSON.stringify(seen));
});

t.test('N06: a refresh that replaces nothing for its time fails, and goes back by itself if it was told to', async (t) => {
  const { lab, old } = await waiting(t, 2);
  lab.timers.stalledMs = 150;
  await lab.start();
  const ended = await lab.status('RollbackSuccessful');
  t.match(ended?.RollbackDetails?.RollbackReason, /^Automatic rollback: Waiting for remaining instances/);
  t.same(idsOf((await lab.describe()).Instances), old);
  await lab.start({ AutoRollback: false });
  t.match(await lab.status('Failed'), { StatusReason: /^Waiting for remaining instances to be available\. For example: i-/, RollbackDetails: undefined });
  t.equal((await lab.describe()).LaunchTemplate?.Version, '1');
});

t.test('F54: a rollback that can replace nothing has failed', async (t) => {
  const { lab, complete } = await waiting(t, 1);
  await lab.start({ BakeTime: 3600 });
  await complete();
  await lab.status('Baking');
  lab.timers.stalledMs = 150;
  await rollBack(lab);
  await lab.status('RollbackFailed');
  t.equal((await lab.describe()).LaunchTemplate?.Version, '1');
  t.equal((await lab.serving('2')).length, 1, 'nothing was ended for it');
});

t.test('N01: StartInstanceRefresh refuses an alarm that is not OK', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 1 });
  await lab.inService(1);
  const start = () => lab.start({ AlarmSpecification: { Alarms: ['fine', 'errors'] } });
  lab.lab.alarms.set('fine', 'OK');
  for (const state of ['ALARM', 'INSUFFICIENT_DATA'] as const) {
    lab.lab.alarms.set('errors', state);
    await t.rejects(start(), { name: 'ValidationError', message: new RegExp(`errors is in the ${state} state`) });
  }
  lab.lab.alarms.delete('errors');
  await t.rejects(start(), { name: 'ValidationError' }, 'one that does not exist');
  t.equal(await lab.refresh(), undefined, 'no refresh came of it');
  lab.lab.alarms.set('errors', 'OK');
  await start();
  t.same((await lab.refresh())?.Preferences?.AlarmSpecification?.Alarms, ['fine', 'errors']);
});

t.test('N06: an alarm that fires ends the refresh, while it replaces and while it bakes', async (t) => {
  const { lab, complete } = await waiting(t, 1);
  lab.lab.alarms.set('errors', 'OK');
  const AlarmSpecification = { Alarms: ['errors'] };
  await lab.start({ AlarmSpecification });
  await lab.one('Pending:Wait');
  lab.lab.alarms.set('errors', 'ALARM');
  t.match((await lab.status('RollbackSuccessful'))?.RollbackDetails?.RollbackReason, /CloudWatch alarm errors is in ALARM state/);
  lab.lab.alarms.set('errors', 'OK');
  await lab.start({ AlarmSpecification, BakeTime: 3600, AutoRollback: false });
  await complete();
  await lab.status('Baking');
  lab.lab.alarms.set('errors', 'ALARM');
  t.match(await lab.status('Failed'), { StatusReason: /errors/ });
  t.equal((await lab.describe()).LaunchTemplate?.Version, '1', 'saved only by success');
});

t.test('S48: while it bakes it can go back, afterwards no more (N07)', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 2 });
  await lab.inService(2);
  await lab.start({ BakeTime: 3600 });
  t.match(await lab.status('Baking'), { PercentageComplete: 100, InstancesToUpdate: 0 });
  t.equal((await lab.describe()).LaunchTemplate?.Version, '1');
  await rollBack(lab);
  await lab.status('RollbackSuccessful');
  t.equal((await lab.serving('1')).length, 2);
  await lab.start({ BakeTime: 10 });
  await lab.status('Baking');
  const began = performance.now();
  await lab.status('Successful');
  t.ok(performance.now() - began < 5000);
  await t.rejects(rollBack(lab), { name: 'ActiveInstanceRefreshNotFoundFault' });
  await t.rejects(lab.client.send(new CancelInstanceRefreshCommand(group)), { name: 'ActiveInstanceRefreshNotFoundFault' });
});

t.test('N08: what can not go back is refused, at its start or at the rollback', async (t) => {
  const { lab } = await waiting(t, 1);
  const { client } = lab;
  const start = (AutoRollback: boolean, DesiredConfiguration?: { LaunchTemplate: { LaunchTemplateId: string; Version: string } }) =>
    client.send(new StartInstanceRefreshCommand({ ...group, DesiredConfiguration, Preferences: { AutoRollback } }));
  const cancel = () => client.send(new CancelInstanceRefreshCommand({ ...group, WaitForTransitioningInstances: false }));
  const desired = { LaunchTemplate: { LaunchTemplateId: templateId, Version: '2' } };
  const irreversible = { name: 'IrreversibleInstanceRefreshFault', $metadata: { httpStatusCode: 400 } };
  await t.rejects(start(true), {
    name: 'ValidationError',
    message: /AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty/,
  });
  await start(false);
  await t.rejects(rollBack(lab), irreversible, 'no desired configuration');
  await cancel();
  const update = (Version: string) => client.send(new UpdateAutoScalingGroupCommand({ ...group, LaunchTemplate: { LaunchTemplateId: templateId, Version } }));
  for (const version of ['$Default', '$Latest']) {
    await update(version);
    await t.rejects(start(true, desired), { name: 'ValidationError' }, version);
    await start(false, desired);
    await t.rejects(rollBack(lab), irreversible, version);
    await cancel();
  }
  await update('1');
  lab.lab.usesResolveSsm = true;
  await t.rejects(start(true, desired), { name: 'ValidationError' }, 'resolve:ssm');
  await start(false, desired);
  await t.rejects(rollBack(lab), irreversible, 'resolve:ssm');
  await cancel();
  lab.lab.usesResolveSsm = false;
  await t.rejects(lab.start({}, '10'), { name: 'ValidationError' }, 'N16: a version that does not exist');
});

t.test('F50: a scale-out in the middle boots the desired configuration, and after a rollback the saved one', async (t) => {
  const { lab, complete } = await waiting(t, 1);
  await lab.start({ MaxHealthyPercentage: 100 });
  const first = await lab.one('Pending:Wait');
  await setDesired(lab, 3);
  const news = await eventually(lab.describe, ({ Instances }) => Instances.filter(({ LifecycleState }) => LifecycleState === 'Pending:Wait').length > 1);
  t.same(
    [...new Set(news.Instances.filter(({ LifecycleState }) => LifecycleState !== 'InService').map(({ LaunchTemplate }) => LaunchTemplate?.Version))],
    ['2'],
  );
  await rollBack(lab);
  await eventually(
    lab.describe,
    ({ Instances }) =>
      Instances.filter(({ LifecycleState, LaunchTemplate }) => LifecycleState === 'Pending:Wait' && LaunchTemplate?.Version === '1').length === 2,
  );
  t.notOk((await lab.describe()).Instances.some(({ InstanceId, LifecycleState }) => InstanceId === first && LifecycleState?.startsWith('Pending')));
  await complete();
  await complete();
  await lab.status('RollbackSuccessful');
  t.equal((await lab.serving('1')).length, 3);
});

t.test('skip matching replaces only what differs; without it all are replaced', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 2 });
  await lab.inService(2, '1');
  await lab.start();
  await lab.status('Successful');
  const before = idsOf(await lab.serving('2'));
  await lab.start({ SkipMatching: true });
  t.match(await lab.status('Successful'), { PercentageComplete: 100, InstancesToUpdate: 0 });
  t.same(idsOf(await lab.serving('2')), before);
  await lab.start({ SkipMatching: false });
  await lab.status('Successful');
  t.notOk(idsOf(await lab.serving('2')).some((id) => before.includes(id)));
});

t.test('N11: a protected instance is waited for, left, or replaced', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 2 });
  const [first] = idsOf(await lab.inService(2, '1'));
  const protect = (ProtectedFromScaleIn: boolean) =>
    lab.client.send(new SetInstanceProtectionCommand({ ...group, InstanceIds: [first ?? ''], ProtectedFromScaleIn }));
  await protect(true);
  await lab.start({ ScaleInProtectedInstances: 'Ignore' });
  await lab.status('Successful');
  t.same(idsOf(await lab.serving('1')), [first]);
  await lab.start({ SkipMatching: true, ScaleInProtectedInstances: 'Wait' });
  await eventually(lab.refresh, (found) => found?.StatusReason?.endsWith(`${first} is protected. Remove instance scale-in protection to continue.`) ?? false);
  await protect(false);
  await lab.status('Successful');
  t.same(await lab.serving('1'), []);
  const [second] = idsOf(await lab.serving('2'));
  await lab.client.send(new SetInstanceProtectionCommand({ ...group, InstanceIds: [second ?? ''], ProtectedFromScaleIn: true }));
  await lab.start({ ScaleInProtectedInstances: 'Refresh' }, '3');
  await lab.status('Successful');
  t.equal((await lab.serving('3')).length, 2);
});

t.test('N11: an instance in Standby is waited for, left, or ended', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 2 });
  const [first = ''] = idsOf(await lab.inService(2, '1'));
  await lab.client.send(new EnterStandbyCommand({ ...group, InstanceIds: [first], ShouldDecrementDesiredCapacity: true }));
  await lab.one('Standby');
  await lab.start({ StandbyInstances: 'Ignore' });
  await lab.status('Successful');
  await lab.start({ StandbyInstances: 'Wait', SkipMatching: true });
  await eventually(lab.refresh, (found) => found?.StatusReason?.includes(`${first} is in standby`) ?? false);
  await lab.client.send(new ExitStandbyCommand({ ...group, InstanceIds: [first] }));
  await lab.status('Successful');
  t.equal((await lab.serving('2')).length, 2);
  const [second = ''] = idsOf(await lab.serving('2'));
  await lab.client.send(new EnterStandbyCommand({ ...group, InstanceIds: [second], ShouldDecrementDesiredCapacity: true }));
  await lab.one('Standby');
  await lab.start({ StandbyInstances: 'Terminate' }, '3');
  await lab.status('Successful');
  t.notOk((await lab.describe()).Instances.some(({ InstanceId }) => InstanceId === second));
});

t.test('F54: a cancelled refresh waits for what is under way, changes nothing of the group and keeps what it deployed', async (t) => {
  const { lab, complete } = await waiting(t, 2);
  await lab.start({ MaxHealthyPercentage: 100 });
  await complete();
  await eventually(lab.refresh, (found) => found?.PercentageComplete === 50);
  await lab.one('Pending:Wait');
  await lab.client.send(new CancelInstanceRefreshCommand(group));
  await lab.looks(3);
  t.equal((await lab.refresh())?.Status, 'Cancelling');
  await t.rejects(rollBack(lab), { name: 'ActiveInstanceRefreshNotFoundFault' });
  await complete();
  await lab.status('Cancelled');
  await eventually(lab.describe, ({ Instances }) => Instances.length === 2);
  t.equal((await lab.describe()).LaunchTemplate?.Version, '1');
  t.equal((await lab.serving('2')).length, 2, 'the oldest version leaves first');
});

t.test('N10: the template of the group can not be changed under a refresh; its sizes can', async (t) => {
  const { lab } = await waiting(t, 1);
  await lab.start();
  const update = (more: object) => lab.client.send(new UpdateAutoScalingGroupCommand({ ...group, ...more }));
  await t.rejects(update({ LaunchTemplate: { LaunchTemplateId: templateId, Version: '3' } }), {
    name: 'ValidationError',
    message: /^An active instance refresh with a desired configuration exists/,
  });
  await update({ MaxSize: 9, LaunchTemplate: { LaunchTemplateId: templateId, Version: '1' } });
  t.equal((await lab.describe()).MaxSize, 9);
});

t.test('F53: a refresh replaces nothing while Launch, Terminate or InstanceRefresh is suspended', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 1 });
  const [only] = await lab.inService(1);
  for (const process of ['Launch', 'Terminate', 'InstanceRefresh']) {
    await lab.client.send(new SuspendProcessesCommand({ ...group, ScalingProcesses: [process] }));
    await lab.start({}, process.length > 9 ? '4' : '3');
    await lab.looks(5);
    t.match(await lab.refresh(), { Status: 'InProgress', PercentageComplete: 0 });
    t.equal(lab.lab.machines.size, 1, process);
    await lab.client.send(new CancelInstanceRefreshCommand(group));
    await lab.status('Cancelled');
    await lab.client.send(new ResumeProcessesCommand({ ...group, ScalingProcesses: [process] }));
  }
  t.equal((await lab.serving())[0]?.InstanceId, only?.InstanceId);
});

t.test('F53: an empty group has nothing to replace: its refresh succeeds (unknown on AWS)', async (t) => {
  const lab = await openLab(t);
  await lab.create({ DesiredCapacity: 0 });
  await lab.start();
  t.match(await lab.status('Successful'), { PercentageComplete: 100, InstancesToUpdate: 0 });
  t.equal((await lab.describe()).LaunchTemplate?.Version, '2');
});

t.test("preferences have AWS's limits and defaults; checkpoints are refused", async (t) => {
  const { lab } = await waiting(t, 1);
  for (const wrong of [
    { MinHealthyPercentage: 101 },
    { MaxHealthyPercentage: 99 },
    { MinHealthyPercentage: 50, MaxHealthyPercentage: 151 },
    { BakeTime: 172_801 },
    { ScaleInProtectedInstances: 'Terminate' as 'Wait' },
    { StandbyInstances: 'Refresh' as 'Wait' },
  ]) {
    await t.rejects(lab.start(wrong), { name: 'ValidationError' }, JSON.stringify(wrong));
  }
  await t.rejects(lab.client.send(new StartInstanceRefreshCommand({ ...group, Preferences: { MaxHealthyPercentage: 110 } })), { name: 'ValidationError' });
  await t.rejects(lab.start({ CheckpointPercentages: [50, 100] }), { name: 'NotImplemented', $metadata: { httpStatusCode: 501 } });
  await lab.client.send(new UpdateAutoScalingGroupCommand({ ...group, HealthCheckGracePeriod: 77 }));
  await lab.client.send(new StartInstanceRefreshCommand(group));
  t.same((await lab.refresh())?.Preferences, {
    ...{ MinHealthyPercentage: 90, InstanceWarmup: 77, SkipMatching: false, AutoRollback: false, BakeTime: 0 },
    ...{ ScaleInProtectedInstances: 'Wait', StandbyInstances: 'Wait' },
  });
});
