import t from 'tap';
import { drainTimes, longestDrainMs } from '../../../agent/drain/order.ts';

t.test('traffic goes on for three health checks, and for the deregistration delay while connections stay', async (t) => {
  const times = { healthIntervalMs: 5_000, deregistrationDelayMs: 30_000 };
  t.same(drainTimes(times, { drainSettleMs: 60_000 }), { settleMs: 15_000, drainMs: 30_000 });
  t.same(drainTimes(times, { drainSettleMs: 0 }), { settleMs: 0, drainMs: 30_000 });
});

t.test('the longest drain ends after the last kill, whichever of settling and draining is longer', async (t) => {
  t.equal(longestDrainMs({ settleMs: 15_000, drainMs: 30_000, gracefulTimeoutMs: 10_000 }, { killMarginMs: 5_000 }), 50_000);
  t.equal(longestDrainMs({ settleMs: 60_000, drainMs: 1_000, gracefulTimeoutMs: 10_000 }, { killMarginMs: 5_000 }), 80_000);
});
