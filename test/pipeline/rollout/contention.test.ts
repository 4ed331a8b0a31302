/** Somebody else acts meanwhile, or the way back is itself in trouble: what serves at the end, and what is said of it. */
import {
  CancelInstanceRefreshCommand,
  StartInstanceRefreshCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { DeleteAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import t, { type Test } from 'tap';
import type { Failure } from '../../../contract/causes.ts';
import { startMoto } from '../../../local/moto.ts';
import { attach } from '../../../pipeline/rollout/attach.ts';
import type { Context } from '../../../pipeline/rollout/context.ts';
import { deploy } from '../../../pipeline/rollout/deploy.ts';
import type { RolloutEvent } from '../../../pipeline/rollout/events.ts';
import { rollback } from '../../../pipeline/rollout/rollback.ts';
import { readFleetStatus } from '../../../pipeline/rollout/status.ts';
import { openRolloutLab, type RolloutLab } from '../../support/rollout.ts';

const moto = await startMoto();
t.teardown(moto.stop);

type LabOptions = Parameters<typeof openRolloutLab>[1];
const newest = { release: undefined, despite: [] };
const dead = 'pinion: ARTIFACT_DIGEST_MISMATCH: the artifact is another. Publish it again.';
const silent = 'boots, and says nothing more';
const status = ({ clients, place }: RolloutLab) => readFleetStatus(clients, place, new Date(), new AbortController().signal);
const group = ({ infrastructure }: RolloutLab) => ({ AutoScalingGroupName: infrastructure.autoScalingGroup });
/** `live 2`, or the code and the sentence. */
const ended = (work: Promise<{ readonly outcome: string; readonly release: number }>): Promise<string> =>
  work.then(
    ({ outcome, release }) => `${outcome} ${release}`,
    (failure: Failure) => `${failure.code}: ${failure.message}`,
  );
const seen = async (events: readonly RolloutEvent[], fits: (event: RolloutEvent) => boolean) => {
  while (!events.some(fits)) await new Promise((resolve) => setTimeout(resolve, 5));
};
const isGoing = (event: RolloutEvent): boolean => event.event === 'progress';
/** Release of every instance. */
const serves = async (lab: RolloutLab) => (await status(lab)).instances.map(({ release }) => release);

/** A lab in which these many releases were deployed, one after another: the last one is live. */
async function open(t: Test, releases: number, options: LabOptions = {}): Promise<RolloutLab> {
  const lab = await openRolloutLab(t, { moto, ...options });
  for (let release = 0; release < releases; release++) {
    await lab.release();
    await deploy(lab.context, newest);
  }
  lab.events.length = 0;
  return lab;
}
/** Begins, and stops watching as soon as it goes. */
async function abandoned(lab: RolloutLab, begin: (context: Context) => Promise<unknown>, until = isGoing): Promise<void> {
  const stop = new AbortController();
  const events: RolloutEvent[] = [];
  const going = begin({ ...lab.context, signal: stop.signal, say: (event) => void events.push(event) }).catch(() => undefined);
  await seen(events, until);
  stop.abort();
  await going;
}

t.test('after a deploy that was cancelled half-way, rollback goes to the live release and not to the one before', async (t) => {
  const lab = await open(t, 2, { secondMs: 300 });
  await lab.release();
  const deploying = ended(deploy(lab.context, newest));
  await seen(lab.events, (event) => event.event === 'progress' && event.serving >= 1);
  await lab.clients.autoScaling.send(new CancelInstanceRefreshCommand(group(lab)));
  t.match(await deploying, /^DEPLOY_FAILED: .*Cancelled/);
  t.equal(await ended(rollback(lab.context, undefined)), 'live 2');
  t.same(await serves(lab), [2, 2]);
  t.match(await status(lab), { live: 2, previous: 1 });
});

t.test('T03: failed smoke of a deploy that is over leaves the refresh alone that somebody has begun since', async (t) => {
  const lab = await open(t, 1, { secondMs: 300 });
  await lab.release();
  lab.answer(500);
  const first: RolloutEvent[] = [];
  const app = { ...lab.context.app, smoke: { ...lab.context.app.smoke, budgetSeconds: 8 } };
  const pace = { ...lab.context.pace, bakeMs: 0 };
  const one = ended(deploy({ ...lab.context, app, pace, say: (event) => void first.push(event) }, newest));
  await seen(first, (event) => event.event === 'progress' && event.status === 'Successful');
  await lab.release();
  const other = ended(deploy(lab.context, newest));
  await seen(lab.events, ({ event }) => event === 'started');
  lab.answer(200);
  t.match(await one, /^DEPLOY_FAILED: the deploy of release 2 .*a refresh to template version 4, which was begun meanwhile, has taken over/);
  t.equal(await other, 'live 3');
  t.notOk(lab.gateway.calls.some(({ action }) => action === 'RollbackInstanceRefresh'));
});

t.test('N02: an alarm that fires during a rollback does not bring back what it flees', async (t) => {
  const lab = await open(t, 2, { alarms: ['5xx'], secondMs: 200 });
  const going = ended(rollback(lab.context, undefined));
  await seen(lab.events, isGoing);
  await lab.setAlarm('5xx', 'ALARM');
  t.equal(await going, 'live 1');
  t.same(await serves(lab), [1, 1]);
});

t.test('N02: an alarm that is gone refuses no rollback', async (t) => {
  const lab = await open(t, 2, { alarms: ['5xx'] });
  await lab.clients.cloudWatch.send(new DeleteAlarmsCommand({ AlarmNames: ['5xx'] }));
  t.match(await ended(deploy(lab.context, { ...newest, release: 1 })), /^ALARM_MISSING/);
  t.equal(await ended(rollback(lab.context, undefined)), 'live 1');
});

t.test('a second rollback, and wait, watch the first one to its end', async (t) => {
  const lab = await open(t, 2, { secondMs: 300 });
  const first = ended(rollback(lab.context, undefined));
  await seen(lab.events, isGoing);
  const second = [ended(rollback({ ...lab.context, say: () => {} }, undefined)), ended(attach({ ...lab.context, say: () => {} }))];
  t.same(await Promise.all([first, ...second]), ['live 1', 'live 1', 'live 1']);
  t.same(await serves(lab), [1, 1]);
  t.notOk(lab.gateway.calls.some(({ action }) => action === 'RollbackInstanceRefresh'));
});

t.test('a rollback whose release fails too has failed; it is not exchanged for the worse one', async (t) => {
  const lab = await open(t, 2, { secondMs: 100 });
  const pace = { ...lab.context.pace, bakeMs: 0 };
  lab.answer(500);
  t.match(await ended(rollback({ ...lab.context, pace }, undefined)), /^ROLLBACK_FAILED: the rollback of release 1 failed: GET \/ answered 500/);
  t.same(await serves(lab), [1, 1]);
  t.match(await status(lab), { live: 2, runs: { release: 1, isProven: false } });
});

t.test('N08: a deploy over what was never proven goes back to what is live', async (t) => {
  const lab = await open(t, 1);
  await lab.release();
  const pace = { ...lab.context.pace, bakeMs: 0 };
  await abandoned(
    lab,
    (context) => deploy({ ...context, pace }, newest),
    (event) => event.event === 'progress' && event.status === 'Successful',
  );
  await lab.release({ says: dead });
  t.match(await ended(deploy(lab.context, newest)), /^ROLLED_BACK: release 3/);
  t.same(await serves(lab), [1, 1]);
});

t.test('what skip matching left alone is replaced when its release is undone', async (t) => {
  const lab = await open(t, 1, { secondMs: 300, pace: { bakeMs: 3_000 } });
  await lab.release();
  const cancelled = ended(deploy(lab.context, newest));
  await seen(lab.events, (event) => event.event === 'progress' && event.serving >= 1);
  await lab.clients.autoScaling.send(new CancelInstanceRefreshCommand(group(lab)));
  await cancelled;
  lab.events.length = 0;
  const again = ended(deploy(lab.context, newest));
  await seen(lab.events, isGoing);
  t.equal(await ended(rollback(lab.context, undefined)), 'live 1');
  t.match(await again, /^(ROLLED_BACK|DEPLOY_FAILED)/);
  t.same(await serves(lab), [1, 1]);
});

t.test('S50: the way back is asked for again while AWS throttles', async (t) => {
  const lab = await open(t, 1, { pace: { bakeMs: 0 } });
  await lab.release();
  lab.answer(500);
  const say = (event: RolloutEvent) => {
    if (event.event === 'undo') lab.answer(200);
    if (event.event === 'smoke' && !event.passed) lab.autoScaling.faults.throttle('StartInstanceRefresh', 3);
    lab.events.push(event);
  };
  t.match(await ended(deploy({ ...lab.context, say }, newest)), /^SMOKE_FAILED: .*; it was rolled back$/);
  t.same(await serves(lab), [1, 1]);
});

t.test('nothing to do, and a wait that has nothing to wait for, are said of a fleet that serves', async (t) => {
  const lab = await open(t, 1, { instances: 3, secondMs: 1_000, pace: { patienceMs: 300 } });
  await lab.clients.autoScaling.send(new SuspendProcessesCommand({ ...group(lab), ScalingProcesses: ['ReplaceUnhealthy'] }));
  const members = [...(lab.autoScaling.groups.get(lab.infrastructure.autoScalingGroup)?.members.values() ?? [])];
  for (const member of members.slice(0, 2)) member.health = 'Unhealthy';
  t.match(await ended(attach(lab.context)), /^DEPLOY_TIMEOUT/);
  await abandoned(lab, (context) => deploy(context, newest));
  for (const member of members) member.health = 'Healthy';
  t.equal(await ended(deploy(lab.context, newest)), 'nothing to do 1');
});

t.test('smoke that fails here alone does not undo what another command has found good', async (t) => {
  const lab = await open(t, 1, { secondMs: 100, pace: { bakeMs: 0 } });
  await lab.release();
  const app = { ...lab.context.app, smoke: { paths: [{ path: '/', status: 204, text: undefined }], budgetSeconds: 2 } };
  const mine = ended(deploy({ ...lab.context, app }, newest));
  await seen(lab.events, ({ event }) => event === 'started');
  t.equal(await ended(attach({ ...lab.context, say: () => {} })), 'live 2');
  t.match(await mine, /^SMOKE_FAILED: release 2 .*; it is the live release, so there is nothing to go back to$/);
  t.same(await serves(lab), [2, 2]);
});

t.test('N03: a first deploy that fails after its command died is ended by the next one, not refreshed to itself', async (t) => {
  const lab = await open(t, 0);
  await lab.release({ says: dead });
  await abandoned(
    lab,
    (context) => deploy(context, newest),
    ({ event }) => event === 'started',
  );
  t.match(await ended(deploy(lab.context, newest)), /^DEPLOY_FAILED: .*ARTIFACT_DIGEST_MISMATCH.*launches nothing more/);
  t.match(await status(lab), { suspended: ['Launch'] });
});

t.test('N03: over a first release that failed smoke a dead one leaves Launch suspended, and calls nothing live', async (t) => {
  const lab = await open(t, 0);
  await lab.release();
  lab.answer(500);
  t.match(await ended(deploy(lab.context, newest)), /^SMOKE_FAILED: .*launches nothing more/);
  await lab.release({ says: dead });
  t.match(await ended(deploy(lab.context, newest)), /^DEPLOY_FAILED: .*no release was ever live; the group launches nothing more/);
  t.match(await status(lab), { suspended: ['Launch'], live: undefined });
});

t.test('F52: of two first deploys none calls live what the group does not launch, and none waits for ever', async (t) => {
  const lab = await open(t, 0, { secondMs: 200 });
  await Promise.all([lab.release(), lab.release()]);
  const ends = await Promise.all([1, 2].map((release) => ended(deploy(lab.context, { release, despite: [] }))));
  const { runs, live } = await status(lab);
  t.ok(ends.filter((end) => end.startsWith('DEPLOY_FAILED')).length >= 1, ends.join('\n'));
  t.ok(live === undefined || live === runs.release, `live ${live}, runs ${runs.release}`);
  if (live === undefined) t.match(await ended(deploy(lab.context, newest)), 'live 2');
});

t.test('a rollback of what Auto Scaling cannot undo says so; one of what is being cancelled waits for that', async (t) => {
  const lab = await open(t, 1, { secondMs: 300 });
  const LaunchTemplateId = lab.infrastructure.launchTemplateId;
  await lab.release({ says: silent });
  await abandoned(
    lab,
    (context) => deploy(context, newest),
    (event) => event.event === 'progress' && event.starting > 0,
  );
  await lab.clients.autoScaling.send(new CancelInstanceRefreshCommand(group(lab)));
  const going = ended(rollback(lab.context, undefined));
  await seen(lab.events, (event) => event.event === 'note' && /being cancelled/.test(event.text));
  for (const member of lab.autoScaling.groups.get(lab.infrastructure.autoScalingGroup)?.members.values() ?? []) member.action?.settle('ABANDON', 'given up');
  t.equal(await going, 'nothing to do 1');
  await lab.clients.autoScaling.send(new UpdateAutoScalingGroupCommand({ ...group(lab), LaunchTemplate: { LaunchTemplateId, Version: '$Default' } }));
  const DesiredConfiguration = { LaunchTemplate: { LaunchTemplateId, Version: '3' } };
  await lab.clients.autoScaling.send(new StartInstanceRefreshCommand({ ...group(lab), DesiredConfiguration }));
  t.match(await ended(rollback(lab.context, 1)), /^ROLLBACK_FAILED: .*cannot undo the refresh that is under way: .*\$Default/);
});

t.test('what a rollback is to lead to is looked at before anything is undone', async (t) => {
  const lab = await open(t, 1, { secondMs: 300 });
  await lab.release();
  await abandoned(lab, (context) => deploy(context, newest));
  t.match(await ended(rollback(lab.context, 99)), /^RELEASE_MISSING/);
  t.notOk(lab.gateway.calls.some(({ action }) => action === 'RollbackInstanceRefresh'));
  t.equal(await ended(attach(lab.context)), 'live 2');
});
