import fc from 'fast-check';
import t from 'tap';
import { defaultLimits } from '../../../agent/limits.ts';
import { judge, staleness, unproven, type Verdict } from '../../../agent/readiness/verdict.ts';

const rule = { rise: 2, fall: 3 };
const after = (probes: readonly boolean[], from: Verdict = unproven) => probes.reduce((verdict, isGood) => judge(verdict, isGood, rule), from);

t.test('two good probes in a row make it up, one does not', async (t) => {
  t.notOk(after([true]).isUp);
  t.ok(after([true, true]).isUp);
  t.notOk(after([true, false, true]).isUp);
});

t.test('S39: three bad probes in a row make it down; a flap of one in three changes nothing', async (t) => {
  const up = after([true, true]);
  t.ok(after([false, false], up).isUp);
  t.notOk(after([false, false, false], up).isUp);
  t.ok(after([false, false, true, false, false, true], up).isUp);
});

t.test('it flips only after a full streak, whatever the order', async () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (probes) => {
      let verdict = unproven;
      for (const [index, isGood] of probes.entries()) {
        const following = judge(verdict, isGood, rule);
        if (following.isUp !== verdict.isUp) {
          const needed = following.isUp ? rule.rise : rule.fall;
          if (!probes.slice(index + 1 - needed, index + 1).every((one) => one === following.isUp)) return false;
        }
        verdict = following;
      }
      return true;
    }),
  );
});

t.test('a verdict is believed for three intervals, and for as long as a fall takes after the last good answer', async (t) => {
  const { probeIntervalMs, probeTimeoutMs, probeFall } = defaultLimits;
  const of = (probedMs: number, goodMs: number) => staleness({ probedMs, goodMs }, '/healthz', defaultLimits);
  t.equal(of(3 * probeIntervalMs, 3 * probeIntervalMs), undefined);
  t.match(of(3 * probeIntervalMs + 1, 3 * probeIntervalMs + 1), { cause: 'PROBE_STALE', sentence: /\/healthz is 6001 ms old/ });
  const fallMs = probeFall * (probeIntervalMs + probeTimeoutMs);
  t.equal(of(0, fallMs), undefined);
  t.match(of(0, fallMs + 1), { cause: 'PROBE_STALE' });
});
