import fc from 'fast-check';
import t from 'tap';
import { type Bounds, limitsOf, plan, remains, type Seat, type Situation } from '../../../local/autoscaling/plan.ts';

const always: Bounds = { direction: 'forward', minHealthyPercentage: 100, maxHealthyPercentage: 150, protectedOnes: 'Refresh', standby: 'Ignore' };
const seat = (more: Partial<Seat> & Pick<Seat, 'id'>): Seat => ({
  ...{ state: 'InService', isHealthy: true, isReady: true, isOutdated: false, isProtected: false, version: 1, order: 0, ...more },
});
const isAlive = ({ state }: Seat) => state === 'InService' || state.startsWith('Pending');
const readyOf = (seats: readonly Seat[]) => seats.filter(({ isReady }) => isReady).length;

/** A group that is data: what a plan begins, and what then happens to it. */
function simulation(desired: number, refresh: Bounds) {
  let seats: readonly Seat[] = Array.from({ length: desired }, (_, order) => seat({ id: `old-${order}`, isOutdated: true, order }));
  let launches = desired;
  const change = (id: string, more: Partial<Seat>) => {
    seats = seats.map((each) => (each.id === id ? { ...each, ...more } : each));
  };
  const situation = (): Situation => ({ desired, seats, suspended: new Set(), refresh });
  return {
    seats: () => seats,
    remains: () => remains(situation(), refresh),
    step() {
      const steps = plan(situation());
      for (const one of steps) {
        if (one.do === 'terminate') change(one.id, { state: 'Terminating', isReady: false });
        else
          for (let i = 0; i < one.count; i++)
            seats = [...seats, seat({ id: `new-${launches}`, state: 'Pending:Wait', isReady: false, version: 2, order: launches++ })];
      }
      return steps;
    },
    /** One thing that happens, to the instance that `which` picks. */
    happen(what: 'good' | 'bad' | 'leave' | 'sick', which: number) {
      const wanted = what === 'leave' ? 'Terminating' : what === 'sick' ? 'InService' : 'Pending:Wait';
      const able = seats.filter(({ state }) => state === wanted);
      const one = able[which % Math.max(1, able.length)];
      if (one === undefined) return;
      if (what === 'good') change(one.id, { state: 'InService', isReady: true });
      else if (what === 'bad') change(one.id, { state: 'Terminating' });
      else if (what === 'sick') change(one.id, { isHealthy: false, isReady: false });
      else seats = seats.filter(({ id }) => id !== one.id);
    },
  };
}

const percentages = fc
  .record({ min: fc.integer({ min: 0, max: 100 }), more: fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }) })
  .map(({ min, more }) => ({ minHealthyPercentage: min, maxHealthyPercentage: more === undefined ? undefined : Math.max(100, min + more) }))
  .filter(({ minHealthyPercentage, maxHealthyPercentage = 100 }) => maxHealthyPercentage - minHealthyPercentage <= 100);
const bounds = fc
  .oneof(
    percentages,
    percentages.map(({ maxHealthyPercentage }) => ({ maxHealthyPercentage, minHealthyPercentage: 100 })),
  )
  .map((some) => ({ ...always, ...some }));
const happenings = fc.array(fc.tuple(fc.constantFrom('good', 'bad', 'leave'), fc.nat(20)), { maxLength: 80 });

t.test('N13: whatever comes of the launches, a refresh keeps within its percentages', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), bounds, happenings, (desired, refresh, events) => {
      const group = simulation(desired, refresh);
      const { fewest, most } = limitsOf(desired, refresh);
      for (const [what, which] of events) {
        group.step();
        if (readyOf(group.seats()) < Math.min(fewest, desired)) return false;
        if (refresh.minHealthyPercentage === 100 && readyOf(group.seats()) < desired) return false;
        if (group.seats().filter(isAlive).length > most) return false;
        group.happen(what, which);
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('N13: a refresh whose launches succeed ends, whatever its percentages', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 12 }), bounds, fc.nat(20), (desired, refresh, which) => {
      const group = simulation(desired, refresh);
      for (let i = 0; i < 4 * desired + 4; i++) {
        group.step();
        group.happen('good', which);
        group.happen('leave', which);
      }
      group.step();
      return group.remains() === undefined && group.seats().length === desired && group.seats().every(({ isOutdated }) => !isOutdated);
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('N05: a release that never serves costs no more than the minimum allows, and nothing with 100 percent', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), bounds, fc.array(fc.nat(20), { maxLength: 60 }), (desired, refresh, events) => {
      const group = simulation(desired, refresh);
      for (const which of events) {
        group.step();
        group.happen('bad', which);
        group.happen('leave', which);
      }
      const old = group.seats().filter(({ id, state }) => id.startsWith('old') && state === 'InService').length;
      return old >= (refresh.minHealthyPercentage === 100 ? desired : limitsOf(desired, refresh).fewest);
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('a plan begins nothing twice: after what it says has begun, the next one is empty', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 12 }),
      bounds,
      fc.array(fc.tuple(fc.constantFrom('good', 'bad', 'leave', 'sick'), fc.nat(20)), { maxLength: 40 }),
      (desired, refresh, events) => {
        const group = simulation(desired, refresh);
        for (const [what, which] of events) {
          group.step();
          if (group.step().length > 0) return false;
          group.happen(what, which);
        }
        return true;
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});

t.test('N13: the bounds of small groups', (t) => {
  const limits = (desired: number, min: number, max?: number) =>
    Object.values(limitsOf(desired, { ...always, minHealthyPercentage: min, maxHealthyPercentage: max })).join('-');
  t.equal(limits(1, 100, 200), '1-2');
  t.equal(limits(2, 100, 150), '2-3');
  t.equal(limits(2, 100, 110), '2-3', 'no room for one: one more all the same');
  t.equal(limits(2, 100, 100), '2-3', 'launch before terminate');
  t.equal(limits(2, 100), '2-3');
  t.equal(limits(10, 90, 100), '9-10', 'a tenth at a time');
  t.equal(limits(4, 90), '3-4', "AWS's default: one ends while its replacement starts");
  t.equal(limits(4, 0), '0-4', 'all at once');
  t.equal(limits(10, 100, 110), '10-11');
  t.end();
});

t.test('a scale-in takes the oldest version, then the oldest instance, and nobody for one that only starts', (t) => {
  const seats = [
    seat({ id: 'a', version: 2, order: 1 }),
    seat({ id: 'b', version: 1, order: 3 }),
    seat({ id: 'c', version: 1, order: 2 }),
    seat({ id: 'd', version: 1, order: 0, isProtected: true }),
    seat({ id: 'e', version: 1, order: 4, state: 'Pending', isReady: false }),
  ];
  const ended = (desired: number) =>
    plan({ desired, seats, suspended: new Set(), refresh: undefined }).map((step) => (step.do === 'terminate' ? step.id : step.count));
  t.same(ended(2), ['c', 'b']);
  t.same(ended(1), ['c', 'b', 'a']);
  t.same(ended(4), []);
  t.same(ended(7), [2]);
  t.end();
});
