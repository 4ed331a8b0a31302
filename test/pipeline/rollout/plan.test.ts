import fc from 'fast-check';
import t from 'tap';
import { margins } from '../../../contract/times.ts';
import type { Facts } from '../../../pipeline/rollout/facts.ts';
import { differenceOf, maxHealthyPercentage, type PlanOptions, planDeploy, surgeOf } from '../../../pipeline/rollout/plan.ts';
import { facts, group, instance, released, version } from './facts.ts';

const options: PlanOptions = { purpose: 'deploy', despite: [], smokeBudgetMs: 60_000, bootMs: 60_000, margins };
const plan = (changed: Partial<Facts> = {}, how: Partial<PlanOptions> = {}) => planDeploy({ ...facts, ...changed }, { ...options, ...how });

t.test('a newer release is a refresh to a new version, with every preference', async (t) => {
  t.match(plan(), {
    kind: 'refresh',
    version: undefined,
    userData: { release: 7, recordSha256: released(7).recordSha256, app: 'shop', env: 'production' },
    preferences: { minHealthyPercentage: 100, maxHealthyPercentage: 125, warmUpSeconds: 30, bakeSeconds: 180, alarms: ['5xx', 'boots'], skipMatching: false },
    notes: [],
  });
});

t.test('the release that is live on every instance, on today’s base, is nothing to do', async (t) => {
  t.equal(plan({ target: released(6) }).kind, 'nothing');
  t.equal(plan({ target: released(6), base: version(9, undefined, 'newer') }).kind, 'refresh', 'a newer base is something to do');
  t.equal(plan({ target: released(6), live: released(5) }).kind, 'prove', 'one that never passed smoke is to be proven');
  t.equal(plan({ target: released(6), targets: new Map() }).kind, 'prove', 'and one that does not serve everywhere');
  t.equal(plan({ target: released(6), group: { ...group, instances: [instance(1), instance(2, { version: 2 })] } }).kind, 'refresh');
});

t.test('N03: a group that never served is a first deploy; what a failed one left is replaced', async (t) => {
  const never = { ...group, suspended: ['Launch'] };
  t.equal(plan({ live: undefined, saved: version(3), group: { ...never, instances: [] } }).kind, 'first');
  t.equal(plan({ live: undefined, saved: version(4, released(5)), group: never }).kind, 'refresh');
  t.equal(plan({ live: undefined, saved: version(4, released(7)), group }).kind, 'first', 'the same again is no refresh, which would go back to it');
  t.equal(
    plan({ live: undefined, saved: version(4, released(5)), group: { ...group, instances: [instance(1, { lifecycle: 'Pending:Wait' })] } }).kind,
    'first',
  );
});

t.test('skip matching is for what a stopped refresh left at the same version alone', async (t) => {
  const towards = version(5, released(7));
  const refresh = {
    id: 'r',
    reason: undefined,
    percentage: 50,
    instancesToUpdate: 2,
    version: 5,
    autoRollback: true,
    startedAt: undefined,
    endedAt: undefined,
  };
  for (const status of ['Cancelled', 'Failed']) {
    t.match(plan({ towards, refresh: { ...refresh, status } }), { version: 5, preferences: { skipMatching: true } }, status);
  }
  t.match(plan({ towards, refresh: { ...refresh, status: 'RollbackSuccessful' } }), { version: 5, preferences: { skipMatching: false } });
  t.match(plan({ towards: version(5, released(6)), refresh: { ...refresh, status: 'Failed' } }), { version: undefined, preferences: { skipMatching: false } });
});

t.test('N13: room for one more instance, whatever the size', async (t) => {
  t.same([1, 2, 3, 4, 9, 10, 11, 500].map(maxHealthyPercentage), [200, 150, 134, 125, 112, 110, 110, 110]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), (desired) => {
      const percentage = maxHealthyPercentage(desired);
      return (
        percentage <= 200 &&
        percentage >= 110 &&
        Math.floor((desired * percentage) / 100) >= desired + 1 &&
        surgeOf(desired, { maxHealthyPercentage: percentage }) >= 1
      );
    }),
  );
  t.match(plan({ group: { ...group, desired: 10 } }).notes, ['desired capacity 10 is the maximum: the refresh goes above it for as long as it runs']);
  t.match(plan({ group: { ...group, desired: 1, instances: [instance(1)] } }).notes, [/^one instance alone serves/]);
});

t.test('N02, N11, N08: what the operator should know is said', async (t) => {
  const alarms = [
    { name: '5xx', state: 'ALARM' },
    { name: 'boots', state: 'OK' },
  ];
  const back = plan({ alarms }, { purpose: 'rollback' });
  t.match(back.preferences, { alarms: [], autoRollback: false });
  t.match(back.notes, [/^5xx \(ALARM\) left out: health and smoke decide this rollback$/]);
  const instances = [instance(1, { lifecycle: 'Standby' }), instance(2, { isProtected: true }), instance(3)];
  t.match(plan({ group: { ...group, instances } }).notes, [/^i-1 in Standby: .* not counted$/, /^i-2 protected from scale-in/]);
  t.match(plan({ saved: version(4, released(5)) }).notes, [/^release 5, which runs, never passed smoke: .* then to 6$/]);
});

t.test('the difference names what changes, and no value', async (t) => {
  const moved = { ...facts, base: { ...version(9, undefined, 'newer'), imageId: 'ami-2' } };
  t.match(differenceOf(moved, plan(moved)), {
    from: 6,
    to: 7,
    commit: { from: 'c6', to: 'c7' },
    config: [{ name: 'GREETING', before: 6, version: 7 }],
    base: { from: 4, to: 9, imageFrom: 'ami-1', imageTo: 'ami-2' },
    parameterStore: { callsPerBoot: 2, instancesAtOnce: 1, callsPerSecond: 40 },
  });
  t.equal(differenceOf(facts, plan()).base, undefined);
});
