import fc from 'fast-check';
import t from 'tap';
import { fullJitterMs } from '../../agent/jitter.ts';

t.test('full jitter: from nothing up to the capped exponential step', async (t) => {
  t.equal(fullJitterMs(3, 100, 10_000, 0), 0);
  t.equal(fullJitterMs(3, 100, 10_000, 0.999), 799);
  t.equal(fullJitterMs(50, 100, 10_000, 0.999), 9990);
});

t.test('whatever the attempt, the wait stays under its step and under the cap', async () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, chance) => {
      const waitMs = fullJitterMs(attempt, 500, 30_000, chance);
      return Number.isInteger(waitMs) && waitMs >= 0 && waitMs < Math.min(30_000, 500 * 2 ** attempt);
    }),
  );
});
