import t from 'tap';
import { drainTimes } from '../../../agent/drain/order.ts';

t.test('traffic goes on for three health checks, and for the deregistration delay while connections stay', async (t) => {
  const times = { healthIntervalMs: 5_000, deregistrationDelayMs: 30_000 };
  t.same(drainTimes(times, { drainSettleMs: 60_000 }), { settleMs: 15_000, drainMs: 30_000 });
  t.same(drainTimes(times, { drainSettleMs: 0 }), { settleMs: 0, drainMs: 30_000 });
});
