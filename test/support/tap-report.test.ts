import t from 'tap';
import { newReport, readTap } from './tap-report.ts';

const read = (text: string) => {
  const report = newReport();
  const line = readTap(report);
  for (const each of text.split('\n')) line(each);
  return report;
};

t.test('tests are counted, assertions and files are not', async (t) => {
  const { failures, ...counts } = read(`TAP version 14
1..1
# Subtest: test/a.test.ts
    # Subtest: good
        ok 1 - one
        ok 2 - two
        1..2
    ok 1 - good # time=1.5ms

    # Subtest: needs a tool
        1..0 # zstd is missing: apt-get install zstd
    ok 2 - needs a tool # SKIP zstd is missing: apt-get install zstd

    ok 3 - later # SKIP not yet # time=2ms
    1..3
ok 1 - test/a.test.ts # time=20ms`);
  const skips = ['test/a.test.ts: needs a tool: zstd is missing: apt-get install zstd', 'test/a.test.ts: later: not yet'];
  t.same(counts, { passed: 1, failed: 0, skipped: 2, skips });
  t.same(failures, []);
});

t.test('a failed test is shown whole, and nothing of the others', async (t) => {
  const { passed, failed, failures } = read(`# Subtest: test/a.test.ts
    # Subtest: good
        ok 1 - kept quiet
    ok 1 - good
    # Subtest: bad
        not ok 1 - one is two
          ---
          diff: here
          ...
        1..1
    not ok 2 - bad # time=3ms
      ---
      at: there
      ...
    # Subtest: good too
    ok 3 - good too
    1..3
not ok 1 - test/a.test.ts # time=20ms
  ---
  exitCode: 1
  ...
# { total: 3 }`);
  t.same([passed, failed, failures.length], [2, 1, 1]);
  t.match(failures[0], /# Subtest: bad\n(.*\n)*.*diff: here\n(.*\n)*.*at: there/);
  t.notMatch(failures[0], /kept quiet|good too/);
});

t.test('a crash is one failure, also where no test failed', async (t) => {
  const crashed = read(`# Subtest: test/a.test.ts
    # Subtest: good
    ok 1 - good
    not ok 2 - crash
      ---
      stack: line
      ...
    1..2
not ok 1 - test/a.test.ts
# { total: 2 }`);
  t.match(crashed, { passed: 1, failed: 1, failures: [/not ok 2 - crash\n(.*\n)*.*stack: line/] });
  const ended = read('# Subtest: test/a.test.ts\n    ok 1 - good\n    1..1\nnot ok 1 - test/a.test.ts\n  ---\n  signal: SIGSEGV\n  ...\n# { total: 1 }');
  t.match(ended, { passed: 1, failed: 1, failures: [/test\/a.test.ts\n(.*\n)*.*SIGSEGV/] });
});
