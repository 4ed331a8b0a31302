import t from 'tap';
import { phases } from '../../../agent/boot/phases.ts';
import { defaultLimits } from '../../../agent/limits.ts';
import { Failure } from '../../../contract/causes.ts';
import type { BootEvent } from '../../../contract/events.ts';

const limits = { ...defaultLimits, retryBaseMs: 1, retryCapMs: 2, bootBudgetMs: 5000 };
const throttled = () => new Failure('SSM_THROTTLED', { action: 'GetParameters' });
const never = new AbortController().signal;

t.test('a transient failure is retried until it passes, each said', async (t) => {
  const events: BootEvent[] = [];
  const phase = phases(limits, (event) => events.push(event), never);
  let attempts = 0;
  const result = await phase('config', async () => {
    if (++attempts < 4) throw throttled();
    return 'done';
  });
  t.equal(result, 'done');
  t.same(
    events.map(({ event }) => event),
    ['phase-started', 'phase-retried', 'phase-retried', 'phase-retried', 'phase-ended'],
  );
  t.match(events.at(-1), { attempts: 4 });
});

t.test('a permanent failure ends its phase at once', async (t) => {
  let attempts = 0;
  const phase = phases(limits, () => {}, never);
  const work = phase('release', async () => {
    attempts++;
    throw new Failure('RECORD_MISSING', { parameter: '/p', version: 3 });
  });
  await t.rejects(work, { code: 'RECORD_MISSING' });
  t.equal(attempts, 1);
});

t.test('at the deadline the last transient cause is the one that is told', async (t) => {
  const phase = phases({ ...limits, bootBudgetMs: 40 }, () => {}, never);
  await t.rejects(
    phase('config', async () => {
      throw throttled();
    }),
    { code: 'SSM_THROTTLED' },
  );
});

t.test('work that hangs is cut at the deadline, which names the phase', async (t) => {
  const phase = phases(limits, () => {}, never);
  phase.setBudget(20);
  const hang = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      const socket = setInterval(() => {}, 1000);
      signal.addEventListener('abort', () => {
        clearInterval(socket);
        reject(signal.reason);
      });
    });
  await t.rejects(phase('download', hang), { code: 'BOOT_TIMEOUT', message: /20 ms.*download/ });
});

t.test('a stop ends a phase, also one that waits for its next attempt', async (t) => {
  const stop = new AbortController();
  const phase = phases(
    { ...limits, retryBaseMs: 100_000, retryCapMs: 100_000, bootBudgetMs: 1_000_000 },
    ({ event }) => event === 'phase-retried' && stop.abort(new Error('stopped')),
    stop.signal,
  );
  const work = phase('config', async () => {
    throw throttled();
  });
  await t.rejects(work, new Error('stopped'));
});
