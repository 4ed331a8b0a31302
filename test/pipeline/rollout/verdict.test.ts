import t from 'tap';
import type { InstanceId } from '../../../contract/names.ts';
import { type HostCause, lastCause } from '../../../pipeline/rollout/console.ts';
import type { Refresh } from '../../../pipeline/rollout/group.ts';
import { type Course, judge } from '../../../pipeline/rollout/verdict.ts';
import { group, instance } from './facts.ts';

const refresh: Refresh = {
  ...{
    id: 'r',
    status: 'InProgress',
    reason: undefined,
    percentage: 0,
    instancesToUpdate: 4,
    version: 5,
    autoRollback: true,
    startedAt: undefined,
    endedAt: undefined,
  },
};
const everywhere = { ...group, version: '5', instances: [1, 2, 3, 4].map((at) => instance(at, { version: 5 })) };
const healthy = new Map(everywhere.instances.map(({ id }) => [id as string, { state: 'healthy', reason: undefined, description: undefined }]));
const course: Course = {
  group: everywhere,
  refresh,
  newest: refresh,
  refreshId: 'r',
  purpose: 'deploy',
  targets: healthy,
  hosts: [],
  version: 5,
  smoke: { state: 'not begun' },
  undoing: undefined,
  isLate: false,
};
const of = (changed: Partial<Course>, status?: string) => {
  const own = status === undefined ? undefined : { ...refresh, status };
  return judge({ ...course, refresh: own, newest: own, refreshId: own?.id, ...changed });
};
const host = (at: number, kind: HostCause['kind']): HostCause => ({ instance: `i-${at}` as InstanceId, cause: 'APP_EXITED', kind, line: 'gunicorn ended.' });
const passed = { smoke: { state: 'passed' } } as const;
const failed = { smoke: { state: 'failed', detail: 'GET / answered 500' } } as const;

t.test('S50: what is not known to end it does not', async (t) => {
  for (const status of ['Pending', 'InProgress', 'Cancelling', 'RollbackInProgress', 'PausedForTea']) t.same(of({}, status), { do: 'wait' }, status);
});

t.test('smoke is asked in the bake, once; only then is it proven', async (t) => {
  t.same(of({}, 'Baking'), { do: 'smoke' });
  t.same(of({ smoke: { state: 'under way' } }, 'Baking'), { do: 'wait' });
  t.same(of(passed, 'Baking'), { do: 'wait' }, 'the bake goes on: alarms may fire');
  t.match(of(passed, 'Successful'), { do: 'end', how: 'proven' });
  t.same(of({}, 'Successful'), { do: 'smoke' }, 'also where the bake is over');
});

t.test('N11: success is every instance in service, healthy and of the new version', async (t) => {
  const [first, ...others] = everywhere.instances;
  const with1 = (changed: object) => ({ ...passed, group: { ...everywhere, instances: [{ ...(first ?? instance(1)), ...changed }, ...others] } });
  t.same(of(with1({ version: 4 }), 'Successful'), { do: 'wait' });
  t.same(of(with1({ isHealthy: false }), 'Successful'), { do: 'wait' });
  t.same(of(with1({ lifecycle: 'Standby' }), 'Successful'), { do: 'wait' }, 'three of four are not four');
  t.same(of({ ...passed, targets: new Map([...healthy].slice(1)) }, 'Successful'), { do: 'wait' });
});

t.test('S48, N07: failed smoke undoes it, in the bake and after', async (t) => {
  t.same(of(failed, 'Baking'), { do: 'undo', by: 'smoke', reason: 'GET / answered 500' });
  t.same(of(failed, 'Successful'), { do: 'end', how: 'over', reason: 'GET / answered 500' }, 'nothing is left to be undone');
  t.match(of({ undoing: { by: 'host', reason: 'x' } }, 'Successful'), { how: 'over' }, 'also where that was asked for too late');
});

t.test('N05: one permanent cause, or transient ones on two hosts, undo it at once', async (t) => {
  for (const status of ['Pending', 'InProgress', 'Baking']) {
    t.match(of({ hosts: [host(1, 'permanent')] }, status), { do: 'undo', by: 'host', reason: 'i-1: APP_EXITED: gunicorn ended' });
  }
  t.same(of({ hosts: [host(1, 'transient')] }, 'InProgress'), { do: 'wait' });
  t.match(of({ hosts: [host(1, 'transient'), host(2, 'transient')] }, 'InProgress'), { do: 'undo', by: 'host' });
  t.match(of({ hosts: [host(1, 'transient'), host(2, 'permanent')] }, 'InProgress'), { do: 'undo', reason: /^i-2/ }, 'the permanent one is named');
  t.same(of({ hosts: [host(1, 'permanent')], undoing: { by: 'host', reason: 'x' } }, 'InProgress'), { do: 'wait' }, 'once');
});

t.test('F54: an end is what Auto Scaling says, with the reason', async (t) => {
  t.match(of({ undoing: { by: 'host', reason: 'ours' } }, 'RollbackSuccessful'), { do: 'end', how: 'rolled back', reason: 'ours' });
  t.match(judge({ ...course, refresh: { ...refresh, status: 'RollbackSuccessful', reason: 'alarm 5xx' } }), { how: 'rolled back', reason: 'alarm 5xx' });
  t.match(of({}, 'RollbackFailed'), { do: 'end', how: 'rollback failed' });
  for (const status of ['Failed', 'Cancelled']) t.match(of(passed, status), { do: 'end', how: 'failed', reason: `the refresh is ${status}` });
});

t.test('a rollback is never undone: that would lead to what it flees', async (t) => {
  const back = { purpose: 'rollback' } as const;
  t.match(of({ ...back, hosts: [host(1, 'permanent')] }, 'InProgress'), { do: 'end', how: 'rollback failed', reason: /^i-1/ });
  for (const status of ['Baking', 'Successful']) t.match(of({ ...back, ...failed }, status), { do: 'end', how: 'rollback failed' }, status);
});

t.test('T03: a deploy that has taken over ends this one, and is left alone', async (t) => {
  const newer = { ...refresh, id: 'another', version: 6 };
  t.match(of({ ...failed, newest: newer }, 'Successful'), { do: 'end', how: 'superseded', reason: /template version 6/ });
  t.match(of({ newest: newer }), { do: 'end', how: 'superseded' }, 'of a first deploy too');
  t.match(of({ ...passed, newest: { ...newer, status: 'Successful' } }), { do: 'end', how: 'proven' }, 'not one that was over before');
  t.match(of({ ...passed, group: { ...everywhere, version: '7' } }), { do: 'end', how: 'superseded', reason: /given template version 7/ });
});

t.test('the deadline ends the watch, not a rollout that has ended', async (t) => {
  t.match(of({ isLate: true }, 'InProgress'), { do: 'end', how: 'late' });
  t.match(of({ isLate: true }, 'RollbackSuccessful'), { how: 'rolled back' });
});

t.test('a first deploy has no refresh: every instance serves, then smoke', async (t) => {
  t.same(of({ group: { ...everywhere, instances: everywhere.instances.slice(1) } }), { do: 'wait' });
  t.same(of({}), { do: 'smoke' });
  t.match(of(passed), { do: 'end', how: 'proven' });
  t.match(of(failed), { do: 'undo', by: 'smoke' });
});

t.test('the last cause line of a console, among what else is there', async (t) => {
  const text = [
    '[    1.2] systemd[1]: Started.',
    '[   12.345678] pinion-agent[812]: pinion: APP_EXITED: gunicorn ended with exit status 3. Read the log.\r',
    'pinion: NO_SUCH_CAUSE: words.',
    'pinion: APP_CRASH_LOOP: gunicorn ended 10 times. Release the earlier one.\r',
    'login:',
  ].join('\n');
  t.match(lastCause('i-1' as InstanceId, text), { cause: 'APP_CRASH_LOOP', kind: 'permanent', line: 'gunicorn ended 10 times. Release the earlier one.' });
  t.equal(lastCause('i-1' as InstanceId, 'nothing of ours'), undefined);
});
