import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { documentedFaults, faultsOf, resultOf } from './faults.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

t.test('reads the ids at the beginning of a test name, one or several', async (t) => {
  // Put together here, so that this file carries no id itself.
  const source = ["'F11: up'", '`S01, S03: one`', "'N04/F20: two'", "'as F12: says'"].map((name) => `t.test(${name}, work)`).join('\n');
  t.same(faultsOf(source), ['F11', 'S01', 'S03', 'N04', 'F20']);
});

t.test('reads a test point of TAP: passed, failed, skipped, or none of a fault', async (t) => {
  t.same(resultOf('    ok 2 - F01: a record # of another app # time=50.037ms'), { ids: ['F01'], result: 'passed' });
  t.same(resultOf('    not ok 3 - F20, F23: no room # time=1ms'), { ids: ['F20', 'F23'], result: 'FAILED' });
  t.same(resultOf('ok 3 - F20: no room # SKIP apt-get install util-linux'), { ids: ['F20'], result: 'skipped' });
  t.equal(resultOf('    ok 1 - gives the proven release'), undefined);
  t.equal(resultOf('    # Subtest: F01: a record'), undefined);
});

t.test('docs/faults.md has a row for each fault with a test, and no other', async (t) => {
  const ids = new Set(globSync('test/**/*.test.ts', { cwd: root }).flatMap((file) => faultsOf(readFileSync(`${root}${file}`, 'utf8'))));
  t.same([...documentedFaults(readFileSync(`${root}docs/faults.md`, 'utf8')).keys()].sort(), [...ids].sort());
});
