import t from 'tap';
import { causes } from '../../../contract/causes.ts';
import { explain } from '../../../pipeline/commands/explain.ts';

t.test('each cause, in any case, with a dash or an underscore', async (t) => {
  for (const cause of Object.keys(causes)) t.match(explain(cause), { about: 'one', cause });
  t.match(explain('artifact-missing'), { cause: 'ARTIFACT_MISSING', kind: 'permanent', sentence: '{object} does not exist' });
});

t.test('all of them by group', async (t) => {
  const all = explain(undefined);
  t.same(all.about === 'all' && all.groups.flatMap((group) => group.causes).sort(), Object.keys(causes).sort());
});

t.test('an unknown one comes with the nearest', async (t) => {
  t.throws(() => explain('UNPINED'), { code: 'CAUSE_UNKNOWN', message: 'UNPINED is not a cause; UNPINNED is the nearest' });
  t.throws(() => explain('toString'), { code: 'CAUSE_UNKNOWN' });
});
