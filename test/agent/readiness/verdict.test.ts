import fc from 'fast-check';
import t from 'tap';
import { judge, unproven, type Verdict } from '../../../agent/readiness/verdict.ts';

const rule = { rise: 2, fall: 3 };
const after = (probes: readonly boolean[], from: Verdict = unproven) => probes.reduce((verdict, isGood) => judge(verdict, isGood, rule), from);

t.test('two good probes in a row make it up, one does not', async (t) => {
  t.notOk(after([true]).isUp);
  t.ok(after([true, true]).isUp);
  t.notOk(after([true, false, true]).isUp);
});

t.test('three bad probes in a row make it down; a flap of one in three changes nothing', async (t) => {
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
