import fc from 'fast-check';
import t from 'tap';
import { backoffMs, decideRestart } from '../../../agent/app/restart.ts';
import { defaultLimits } from '../../../agent/limits.ts';

const facts = { entryPoint: 'app:missing', tail: ['usage: …', 'gunicorn: error: unrecognized arguments: --nonsense'], exitsMs: [1000] };
const decide = (code: number | null, exitsMs = facts.exitsMs) => decideRestart({ ...facts, exit: { code, signal: null }, exitsMs }, defaultLimits, () => 0.5);

t.test('S01: a missing app object is given up at once, by name', async (t) => {
  t.match(decide(4), { do: 'give-up', report: { cause: 'APP_OBJECT_MISSING', sentence: /app:missing/ } });
});

t.test('S01: two workers that find no app object together make gunicorn end with 1; its log tells', async (t) => {
  const tail = ["Failed to find attribute 'missing' in 'app'.", '[2026-01-01 00:00:00 +0000] [7] [ERROR] Worker (pid:9) exited with code 4.', 'Traceback'];
  const decideWith = (code: number) => decideRestart({ ...facts, tail, exit: { code, signal: null } }, defaultLimits, () => 0.5);
  t.match(decideWith(1), { do: 'give-up', report: { cause: 'APP_OBJECT_MISSING' } });
  t.match(decideWith(3), { do: 'restart' });
});

t.test('S03: a refused flag is given up at once, with what gunicorn said', async (t) => {
  t.match(decide(2), { do: 'give-up', report: { cause: 'APP_SETTINGS_INVALID', sentence: /--nonsense/ } });
});

t.test('any other exit is tried again, status 0 and a failed worker start too', async (t) => {
  for (const code of [0, 1, 3, null]) t.match(decide(code), { do: 'restart', report: { cause: 'APP_EXITED' } });
});

t.test('exits that crowd one window are a crash loop; the same number spread out is not', async (t) => {
  const { crashLoopCount, crashLoopWindowMs } = defaultLimits;
  const crowded = Array.from({ length: crashLoopCount }, (_, i) => i * 1000);
  const spread = Array.from({ length: crashLoopCount }, (_, i) => i * crashLoopWindowMs);
  t.match(decide(1, crowded), { do: 'give-up', report: { cause: 'APP_CRASH_LOOP' } });
  t.match(decide(1, spread), { do: 'restart' });
});

t.test('the wait grows to its cap and never falls under half of its step', async () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, chance) => {
      const ceiling = Math.min(defaultLimits.restartCapMs, defaultLimits.restartBaseMs * 2 ** Math.min(failures, 20));
      const waitMs = backoffMs(failures, defaultLimits, () => chance);
      return waitMs >= Math.floor(ceiling / 2) && waitMs <= ceiling;
    }),
  );
});
