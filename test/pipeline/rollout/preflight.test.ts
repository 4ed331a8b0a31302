import t from 'tap';
import { margins } from '../../../contract/times.ts';
import type { Facts } from '../../../pipeline/rollout/facts.ts';
import type { Refresh } from '../../../pipeline/rollout/group.ts';
import { type PreflightOptions, refusal } from '../../../pipeline/rollout/preflight.ts';
import { facts, group, infrastructure, instance, released, version } from './facts.ts';

const options: PreflightOptions = { purpose: 'deploy', despite: [], app: { keepAliveMs: 75_000, gracefulTimeoutMs: 30_000 }, margins };
const refresh: Refresh = {
  ...{
    id: 'r-1',
    status: 'InProgress',
    reason: undefined,
    percentage: 50,
    instancesToUpdate: 2,
    version: 5,
    autoRollback: true,
    startedAt: undefined,
    endedAt: undefined,
  },
};
const refused = (changed: Partial<Facts>, how: Partial<PreflightOptions> = {}) => {
  const failure = refusal({ ...facts, ...changed }, { ...options, ...how });
  return failure && `${failure.code}: ${failure.message}`;
};

t.test('a usual environment is refused nothing', async (t) => t.equal(refused({}), undefined));

t.test('F53, S49: a refresh that is under way, whoever started it and whatever its status is called', async (t) => {
  t.match(refused({ refresh, towards: version(5, released(7)) }), /DEPLOY_BUSY: .*shop-production.* to release 7/);
  t.match(refused({ refresh: { ...refresh, status: 'SomethingNew' } }), /DEPLOY_BUSY: .*template version 5/);
  t.equal(refused({ refresh: { ...refresh, status: 'RollbackSuccessful' } }), undefined);
});

t.test('F53: suspended processes, and a group that wants no instance', async (t) => {
  t.match(refused({ group: { ...group, suspended: ['Terminate', 'AZRebalance'] } }), /PROCESSES_SUSPENDED: .*suspended Terminate;/);
  t.match(refused({ group: { ...group, suspended: ['Launch'] } }), /PROCESSES_SUSPENDED: .*Launch/);
  t.equal(refused({ group: { ...group, suspended: ['Launch'], instances: [] }, live: undefined }), undefined, 'a first deploy resumes it');
  t.match(refused({ group: { ...group, desired: 0 } }), /GROUP_EMPTY/);
});

t.test('what a rollback by Auto Scaling cannot be done with', async (t) => {
  t.match(refused({ group: { ...group, templateId: 'lt-2' } }), /GROUP_UNUSABLE: .*lt-2, not from lt-1/);
  t.match(refused({ group: { ...group, version: '$Latest' } }), /GROUP_UNUSABLE: .*\$Latest/);
  t.match(refused({ group: { ...group, targetGroups: [] } }), /GROUP_UNUSABLE: .*registers nothing/);
  t.match(refused({ group: { ...group, healthCheckType: 'EC2' } }), /GROUP_UNUSABLE: .*ELB/);
  t.match(refused({ base: { ...version(3), imageId: 'resolve:ssm:/ami' } }), /BASE_UNUSABLE/);
});

t.test('N16: a template or version that is gone', async (t) => {
  t.match(refused({ base: undefined }), /TEMPLATE_MISSING: .*lt-1 has no version \$Default/);
  t.match(refused({ saved: undefined }), /TEMPLATE_MISSING: .*lt-1 has no version 4/);
});

t.test('F56: a target that could not be booted, or a live release that could not be booted again', async (t) => {
  t.match(refused({ targetProblem: 'config KEY version 1 is gone' }), /RELEASE_UNBOOTABLE: release 7 .*KEY/);
  t.match(refused({ wayBackProblem: 'config KEY version 1 is gone' }), /WAY_BACK_GONE: release 6.*KEY/);
  t.equal(refused({ wayBackProblem: 'config KEY version 1 is gone' }, { purpose: 'rollback' }), undefined, 'a rollback leaves that behind');
});

t.test('N01, N02: an alarm that is not OK refuses a deploy by its name, unless that name is given; a rollback goes', async (t) => {
  for (const state of ['ALARM', 'INSUFFICIENT_DATA']) {
    const alarms = [
      { name: '5xx', state },
      { name: 'boots', state: 'OK' },
    ];
    t.match(refused({ alarms }), new RegExp(`ALARM_NOT_OK: the alarm 5xx is in ${state}`));
    t.match(refused({ alarms }, { despite: ['boots'] }), /ALARM_NOT_OK/);
    t.equal(refused({ alarms }, { despite: ['5xx'] }), undefined);
    t.equal(refused({ alarms }, { purpose: 'rollback' }), undefined);
  }
  t.match(refused({ alarms: [{ name: '5xx', state: undefined }] }), /ALARM_MISSING: .*5xx/);
});

t.test('times that do not fit each other, with the numbers', async (t) => {
  t.match(refused({}, { app: { ...options.app, gracefulTimeoutMs: 31_000 } }), /TIMES_INVALID: .*deregistrationDelayMs is 30000 ms .* 31000 ms/);
  t.match(refused({ infrastructure: { ...infrastructure, times: { ...infrastructure.times, warmUpMs: 11_000 } } }), /TIMES_INVALID: .*warmUpMs/);
});

t.test('N11: Standby and protection refuse nothing', async (t) => {
  t.equal(refused({ group: { ...group, instances: [instance(1, { lifecycle: 'Standby' }), instance(2, { isProtected: true })] } }), undefined);
});
