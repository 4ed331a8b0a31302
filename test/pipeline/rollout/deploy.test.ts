import { CancelInstanceRefreshCommand, DeleteAutoScalingGroupCommand, StartInstanceRefreshCommand } from '@aws-sdk/client-auto-scaling';
import { CreateLaunchTemplateVersionCommand, DeleteLaunchTemplateCommand, ModifyLaunchTemplateCommand } from '@aws-sdk/client-ec2';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import t, { type Test } from 'tap';
import type { Failure } from '../../../contract/causes.ts';
import { infrastructurePath } from '../../../contract/names.ts';
import { startMoto } from '../../../local/moto.ts';
import { attach } from '../../../pipeline/rollout/attach.ts';
import { deploy, plan } from '../../../pipeline/rollout/deploy.ts';
import { readPace } from '../../../pipeline/rollout/pace.ts';
import { rollback } from '../../../pipeline/rollout/rollback.ts';
import { readFleetStatus } from '../../../pipeline/rollout/status.ts';
import { openRolloutLab as openLab, type RolloutLab } from '../../support/rollout.ts';

const moto = await startMoto();
t.teardown(moto.stop);
const openRolloutLab = (t: Test, options: Parameters<typeof openLab>[1] = {}) => openLab(t, { moto, ...options });

const newest = { release: undefined, despite: [] };
const status = ({ clients, place }: RolloutLab) => readFleetStatus(clients, place, new Date(), new AbortController().signal);
/** The code and the sentence that it ends with. */
const failing = async (work: Promise<unknown>): Promise<string> => {
  const failure = await work.then(
    (value) => {
      throw new Error(`it succeeded: ${JSON.stringify(value)}`);
    },
    (thrown: Failure) => thrown,
  );
  return `${failure.code}: ${failure.message}`;
};
/** A lab in which release 1 is live. */
const liveLab = async (t: Test, options: Parameters<typeof openRolloutLab>[1] = {}) => {
  const lab = await openRolloutLab(t, options);
  await lab.release();
  await deploy(lab.context, newest);
  lab.events.length = 0;
  return lab;
};
const dead = 'pinion: ARTIFACT_DIGEST_MISMATCH: the artifact is another. Publish it again.';

t.test('the first deploy resumes Launch, and a second has nothing to do', async (t) => {
  const lab = await openRolloutLab(t);
  await lab.release();
  t.match(await status(lab), { runs: { release: undefined }, suspended: ['Launch'], instances: [], live: undefined });
  t.match(await deploy(lab.context, newest), { outcome: 'live', release: 1 });
  t.match(await status(lab), { runs: { release: 1, isProven: true }, suspended: [], live: 1, serving: 2 });
  t.match(await deploy(lab.context, newest), { outcome: 'nothing to do', release: 1, version: 2 });
});

t.test('a rolling deploy replaces every instance and moves the labels; the dry run before it changes nothing', async (t) => {
  const lab = await liveLab(t, { instances: 3 });
  const before = await status(lab);
  await lab.release();
  const planned = await plan(lab.context, newest);
  t.match(planned, { plan: { kind: 'refresh' }, difference: { from: 1, to: 2, config: [{ name: 'GREETING', before: 1, version: 2 }], base: undefined } });
  t.same(
    (await status(lab)).instances.map(({ id }) => id),
    before.instances.map(({ id }) => id),
  );
  t.match(await deploy(lab.context, newest), { outcome: 'live', release: 2, version: 3 });
  const after = await status(lab);
  t.match(after, { live: 2, previous: 1, serving: 3, runs: { release: 2, isProven: true }, refresh: { status: 'Successful', release: 2 } });
  t.notOk(after.instances.some(({ id }) => before.instances.some((each) => each.id === id)));
  t.ok(after.instances.every(({ ageSeconds }) => ageSeconds !== undefined && ageSeconds < 60));
});

t.test('S47, N05, T15: a host that can never boot it: rolled back at once, with its cause; the old release serves', async (t) => {
  const lab = await liveLab(t);
  const before = await status(lab);
  const release = await lab.release({ says: dead });
  t.match(await failing(deploy(lab.context, newest)), /^ROLLED_BACK: release 2 was rolled back: i-\w+: ARTIFACT_DIGEST_MISMATCH: the artifact is another/);
  t.match(
    lab.events.find(({ event }) => event === 'host'),
    { cause: 'ARTIFACT_DIGEST_MISMATCH', kind: 'permanent' },
  );
  const after = await status(lab);
  t.match(after, { live: 1, serving: 2, runs: { release: 1 }, refresh: { status: 'RollbackSuccessful', release } });
  t.same(
    after.instances.filter(({ isServing }) => isServing).map(({ id }) => id),
    before.instances.map(({ id }) => id),
    'none was lost',
  );
});

t.test('S48, T07: smoke that fails in the bake: rolled back, waited for, its own cause', async (t) => {
  const lab = await liveLab(t, { secondMs: 1_000, pace: { bakeMs: 4_000 } });
  await lab.release();
  const deploying = failing(deploy(lab.context, newest));
  lab.answer(500);
  t.equal(await deploying, 'SMOKE_FAILED: release 2 did not pass smoke: GET / answered 500, not 200; it was rolled back');
  t.match(await status(lab), { live: 1, runs: { release: 1 }, refresh: { status: 'RollbackSuccessful' } });
});

t.test('N07, F55: smoke that fails after the bake: a new refresh to the live release', async (t) => {
  const lab = await liveLab(t, { pace: { bakeMs: 0 } });
  await lab.release();
  lab.answer(500);
  const deploying = failing(deploy(lab.context, newest));
  const undone = new Promise<void>((resolve) => {
    const { push } = lab.events;
    lab.events.push = (...said) => {
      if (said.some(({ event }) => event === 'undo')) {
        lab.answer(200);
        resolve();
      }
      return push.apply(lab.events, said);
    };
  });
  await undone;
  t.match(await deploying, /^SMOKE_FAILED/);
  t.match(
    lab.events.find(({ event }) => event === 'undo'),
    { how: 'a new refresh goes to release 1' },
  );
  t.match(await status(lab), { live: 1, runs: { release: 1 }, serving: 2 });
});

t.test('S49, F52, T03: two deploys in the same second: one refresh, the other is busy in less than 2 s', async (t) => {
  const lab = await liveLab(t);
  await lab.release();
  const before = performance.now();
  const both = [deploy(lab.context, newest), deploy(lab.context, { ...newest, release: 2 })];
  const busy = (await Promise.any(both.map(failing)).catch(() => '')) as string;
  t.match(busy, /^DEPLOY_BUSY: .*, to (release|template version) 2?/);
  t.ok(performance.now() - before < 2_000);
  t.equal((await Promise.allSettled(both)).filter(({ status: how }) => how === 'fulfilled').length, 1);
  t.equal(
    lab.gateway.calls.filter(({ action }) => action === 'CancelInstanceRefresh' || action === 'RollbackInstanceRefresh').length,
    0,
    'nobody is cancelled',
  );
});

t.test('rollback goes to the release before, code and config, on the newest base; then back again', async (t) => {
  const lab = await liveLab(t);
  await lab.release();
  await deploy(lab.context, newest);
  t.match(await rollback(lab.context, undefined), { outcome: 'live', release: 1 });
  t.match(
    lab.events.findLast(({ event }) => event === 'note'),
    { text: /^goes back to release 1 \(commit c1/ },
  );
  t.match(await status(lab), { live: 1, previous: 2, runs: { release: 1 } });
  t.match(await rollback(lab.context, 2), { outcome: 'live', release: 2 });
});

t.test('rollback of a refresh that is under way undoes it and waits for its end', async (t) => {
  const lab = await liveLab(t, { secondMs: 300 });
  await lab.release();
  const deploying = failing(deploy(lab.context, newest));
  while (!lab.events.some(({ event }) => event === 'started')) await new Promise((resolve) => setTimeout(resolve, 5));
  t.match(await rollback(lab.context, undefined), { outcome: 'live', release: 1 });
  t.match(await deploying, /^ROLLED_BACK/);
  t.match(await status(lab), { live: 1, runs: { release: 1 }, refresh: { status: 'RollbackSuccessful' } });
});

t.test('N03: a first deploy that fails suspends Launch again; the next one works', async (t) => {
  const lab = await openRolloutLab(t);
  await lab.release({ says: dead });
  t.match(await failing(deploy(lab.context, newest)), /^DEPLOY_FAILED: .*ARTIFACT_DIGEST_MISMATCH.*the group launches nothing more/);
  t.match(await status(lab), { suspended: ['Launch'], live: undefined });
  await lab.release();
  t.match(await deploy(lab.context, newest), { outcome: 'live', release: 2 });
  t.match(await status(lab), { suspended: [], live: 2, serving: 2, runs: { release: 2 } });
});

t.test('F51: an interrupted deploy goes on without its command; wait finishes it, smoke and label included', async (t) => {
  const lab = await liveLab(t, { secondMs: 200 });
  await lab.release();
  const stop = new AbortController();
  const deploying = failing(deploy({ ...lab.context, signal: stop.signal }, newest));
  while (!lab.events.some(({ event }) => event === 'progress')) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  t.match(await deploying, /^DETACHED: .*release 2 goes on/);
  t.match(await status(lab), { live: 1 });
  t.match(await attach(lab.context), { outcome: 'live', release: 2 });
  t.match(await status(lab), { live: 2, previous: 1 });
  t.match(await attach(lab.context), { outcome: 'live', release: 2, seconds: 0 }, 'and again says so');
});

t.test('N06, T11: the deploying client dies and an alarm fires: Auto Scaling rolls back, wait from elsewhere reports it', async (t) => {
  const lab = await liveLab(t, { alarms: ['boots'], secondMs: 300 });
  await lab.release();
  const stop = new AbortController();
  const deploying = failing(deploy({ ...lab.context, signal: stop.signal }, newest));
  while (!lab.events.some(({ event }) => event === 'progress')) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  await deploying;
  await lab.setAlarm('boots', 'ALARM');
  t.match(await failing(attach(lab.context)), /^ROLLED_BACK: release 2 was rolled back: .*boots/);
  t.match(await failing(attach(lab.context)), /^ROLLED_BACK: release 2/, 'also when it is over');
});

t.test('F54: a refresh that somebody cancels is no success', async (t) => {
  const lab = await liveLab(t, { secondMs: 300 });
  await lab.release();
  const deploying = failing(deploy(lab.context, newest));
  while (!lab.events.some(({ event }) => event === 'progress')) await new Promise((resolve) => setTimeout(resolve, 5));
  await lab.clients.autoScaling.send(new CancelInstanceRefreshCommand({ AutoScalingGroupName: lab.infrastructure.autoScalingGroup }));
  t.match(await deploying, /^DEPLOY_FAILED: .*Cancelled/);
  t.match(await failing(attach(lab.context)), /^DEPLOY_FAILED: .*2/);
});

t.test('N01, N02: an alarm that fires refuses a deploy by name, and is left out of a rollback', async (t) => {
  const lab = await liveLab(t, { alarms: ['5xx'] });
  await lab.release();
  await deploy(lab.context, newest);
  await lab.setAlarm('5xx', 'ALARM');
  t.match(await failing(deploy(lab.context, { ...newest, release: 1 })), /^ALARM_NOT_OK: the alarm 5xx is in ALARM/);
  t.match(await rollback(lab.context, undefined), { outcome: 'live', release: 1 });
  t.match(await deploy(lab.context, { release: 2, despite: ['5xx'] }), { outcome: 'live', release: 2 });
});

t.test('N08: what runs and never passed smoke is unproven, and a deploy of it is smoke alone', async (t) => {
  const lab = await liveLab(t);
  await lab.release();
  const stop = new AbortController();
  lab.answer(500);
  const deploying = failing(deploy({ ...lab.context, pace: { ...lab.context.pace, bakeMs: 0 }, signal: stop.signal }, newest));
  while (!lab.events.some((event) => event.event === 'progress' && event.status === 'Successful')) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  await deploying;
  t.match(await status(lab), { runs: { release: 2, isProven: false }, live: 1 });
  lab.answer(200);
  const started = lab.gateway.calls.filter(({ action }) => action === 'StartInstanceRefresh').length;
  t.match(await deploy(lab.context, newest), { outcome: 'live', release: 2 });
  t.equal(lab.gateway.calls.filter(({ action }) => action === 'StartInstanceRefresh').length, started);
});

t.test('N10: a base version that moves during a deploy waits for the next one, and status says so', async (t) => {
  const lab = await liveLab(t, { secondMs: 200 });
  await lab.release();
  const deploying = deploy(lab.context, newest);
  while (!lab.events.some(({ event }) => event === 'started')) await new Promise((resolve) => setTimeout(resolve, 5));
  const LaunchTemplateId = lab.infrastructure.launchTemplateId;
  const made = await lab.clients.ec2.send(
    new CreateLaunchTemplateVersionCommand({ LaunchTemplateId, SourceVersion: '1', LaunchTemplateData: { ImageId: 'ami-00000000000000002' } }),
  );
  const DefaultVersion = String(made.LaunchTemplateVersion?.VersionNumber);
  await lab.clients.ec2.send(new ModifyLaunchTemplateCommand({ LaunchTemplateId, DefaultVersion }));
  t.match(await deploying, { outcome: 'live', version: 3 });
  t.match(await status(lab), { newerBase: Number(DefaultVersion), runs: { version: 3 } });
  t.match(await plan(lab.context, newest), { plan: { kind: 'refresh' }, difference: { base: { imageTo: 'ami-00000000000000002' } } });
});

t.test('F56: a live release that could not be booted again stops a deploy before anything is started', async (t) => {
  const lab = await liveLab(t);
  await lab.release();
  const { releases } = await (await import('../../../pipeline/rollout/situation.ts')).readSituation(lab.clients, lab.place, lab.context.signal);
  const record = releases.find((stored) => 'record' in stored)?.record;
  await lab.clients.s3.send(new DeleteObjectCommand({ Bucket: record?.artifact.bucket, Key: record?.artifact.key, VersionId: record?.artifact.versionId }));
  const before = lab.gateway.calls.length;
  t.match(await failing(deploy(lab.context, newest)), /^RELEASE_UNBOOTABLE: release 2 .*artifact/);
  t.notOk(lab.gateway.calls.slice(before).some(({ action }) => /^(Start|Update|Resume)/.test(action)));
});

t.test('S50, T10: a throttled watch slows down and goes on; a throttled watch fails no release', async (t) => {
  const lab = await liveLab(t, { secondMs: 200 });
  await lab.release();
  const deploying = deploy(lab.context, newest);
  while (!lab.events.some(({ event }) => event === 'progress')) await new Promise((resolve) => setTimeout(resolve, 5));
  lab.autoScaling.faults.throttle('DescribeInstanceRefreshes', 6);
  t.match(await deploying, { outcome: 'live', release: 2 });
  t.ok(lab.events.some(({ event }) => event === 'slow'));
});

t.test('S50, N05: a rollback that is throttled is asked for again', async (t) => {
  const lab = await liveLab(t);
  await lab.release({ says: dead });
  lab.autoScaling.faults.throttle('RollbackInstanceRefresh', 5);
  t.match(await failing(deploy(lab.context, newest)), /^ROLLED_BACK/);
});

t.test('what may not be asked is named, with whom it was denied; a group and a template that are gone', async (t) => {
  const lab = await liveLab(t);
  await lab.release();
  const denied = { code: 'AccessDenied', message: 'User: arn:aws:sts::123456789012:assumed-role/shop-deploy/b is not authorized to perform: x', status: 403 };
  lab.autoScaling.faults.fail('StartInstanceRefresh', denied, 1);
  t.match(await failing(deploy(lab.context, newest)), /^AWS_DENIED: AWS denied StartInstanceRefresh on \S+ to arn:\S+shop-deploy\/b$/);
  const expired = { code: 'ExpiredToken', message: 'The security token included in the request is expired', status: 403 };
  lab.autoScaling.faults.fail('DescribeInstanceRefreshes', expired, 1);
  t.match(await failing(deploy(lab.context, newest)), /^CREDENTIALS_UNAVAILABLE/);
  await lab.clients.autoScaling.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: lab.infrastructure.autoScalingGroup, ForceDelete: true }));
  await lab.clients.ec2.send(new DeleteLaunchTemplateCommand({ LaunchTemplateId: lab.infrastructure.launchTemplateId }));
  while (lab.autoScaling.groups.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.match(await failing(deploy(lab.context, newest)), /^GROUP_MISSING: there is no Auto Scaling group/);
});

t.test('credentials that expire in the middle of a deploy end the command and not the deploy', async (t) => {
  const lab = await liveLab(t, { secondMs: 200 });
  await lab.release();
  const deploying = failing(deploy(lab.context, newest));
  while (!lab.events.some(({ event }) => event === 'progress')) await new Promise((resolve) => setTimeout(resolve, 5));
  const expired = { code: 'ExpiredToken', message: 'The security token included in the request is expired', status: 403 };
  lab.autoScaling.faults.fail('DescribeAutoScalingGroups', expired, 1);
  t.match(await deploying, /^CREDENTIALS_UNAVAILABLE/);
  t.match(await attach(lab.context), { outcome: 'live', release: 2 });
});

t.test('an unknown release, and a refresh that somebody else runs', async (t) => {
  const lab = await liveLab(t, { secondMs: 300 });
  t.match(await failing(deploy(lab.context, { ...newest, release: 9 })), /^RELEASE_MISSING: .*release 9/);
  await lab.clients.autoScaling.send(new StartInstanceRefreshCommand({ AutoScalingGroupName: lab.infrastructure.autoScalingGroup }));
  t.match(await failing(deploy(lab.context, newest)), /^DEPLOY_BUSY: .*template version unknown/);
});

t.test('T15: at the pace of AWS a permanent cause is undone less than 15 s after the console shows it', async (t) => {
  const lab = await liveLab(t);
  await lab.release({ says: dead });
  const atMs = new Map<string, number>();
  const say = ({ event }: { event: string }) => void (atMs.has(event) || atMs.set(event, performance.now()));
  const { pollMs } = readPace({});
  await failing(deploy({ ...lab.context, say, pace: { ...lab.context.pace, pollMs } }, newest));
  // The instance is launched after this, and says it at once.
  const seconds = ((atMs.get('undo') ?? Number.POSITIVE_INFINITY) - (atMs.get('started') ?? 0)) / 1_000;
  t.ok(seconds < 15, `undone ${seconds.toFixed(1)} s after the start`);
  t.comment(`undone ${seconds.toFixed(1)} s after the start of the refresh, looking every ${pollMs} ms`);
});

t.test('T05: a rollout in which nothing happens ends at its deadline, and is no success', async (t) => {
  const lab = await liveLab(t, { secondMs: 1_000 });
  await lab.release({ says: 'boots, and says nothing more' });
  const stop = new AbortController();
  const deploying = failing(deploy({ ...lab.context, signal: stop.signal }, newest));
  while (!lab.events.some(({ event }) => event === 'progress')) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  await deploying;
  t.match(await failing(attach({ ...lab.context, pace: { ...lab.context.pace, patienceMs: 300 } })), /^DEPLOY_TIMEOUT: the deploy of release 2/);
  t.match(await status(lab), { live: 1, serving: 2, refresh: { isUnderWay: true } });
});

t.test('a document of a newer schema, in the middle of a deploy and before it', async (t) => {
  const lab = await liveLab(t, { secondMs: 200 });
  await lab.release();
  const deploying = deploy(lab.context, newest);
  while (!lab.events.some(({ event }) => event === 'progress')) await new Promise((resolve) => setTimeout(resolve, 5));
  const Value = JSON.stringify({ ...lab.infrastructure, schemaVersion: 2 });
  await lab.clients.ssm.send(new PutParameterCommand({ Name: infrastructurePath(lab.place), Value, Type: 'String', Overwrite: true }));
  t.match(await deploying, { outcome: 'live', release: 2 }, 'what has begun goes by what it read');
  const refused = /^INFRASTRUCTURE_INVALID: .*schemaVersion/;
  for (const work of [() => deploy(lab.context, newest), () => rollback(lab.context, undefined), () => attach(lab.context), () => status(lab)])
    t.match(await failing(work()), refused);
});
