import t from 'tap';
import { addReports, emptyReport, readTap } from './tap-report.ts';

t.test('tests are counted, assertions are not', async (t) => {
  const stdout = `TAP version 14
# Subtest: good
    # Subtest: inner
        ok 1 - one
        1..1
    ok 1 - inner
    1..1
ok 1 - good # time=1.5ms

# Subtest: needs a tool
    1..0 # zstd is missing: apt-get install zstd
ok 2 - needs a tool # SKIP zstd is missing: apt-get install zstd

ok 3 - later # SKIP not yet # time=2ms
1..3
# { total: 3, pass: 1, skip: 2 }
`;
  const skips = ['a.test.ts: needs a tool: zstd is missing: apt-get install zstd', 'a.test.ts: later: not yet'];
  const report = readTap('a.test.ts', stdout, 'a warning', 0);
  t.same(report, { passed: 1, failed: 0, skipped: 2, failures: [], skips });
  t.same(addReports(report, addReports(emptyReport, report)), { passed: 2, failed: 0, skipped: 4, failures: [], skips: [...skips, ...skips] });
});

t.test('a failed test is shown whole, and nothing of the others', async (t) => {
  const stdout = `# Subtest: good
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
not ok 4 - at the margin
  ---
  at: elsewhere
  ...
1..4
`;
  const { passed, failed, failures } = readTap('a.test.ts', stdout, 'said on stderr\n', 1);
  t.same([passed, failed], [2, 2]);
  t.match(failures[0], /^a.test.ts ended with 1\n# Subtest: bad\n(.*\n)*.*diff: here\n(.*\n)*.*at: there\n(.*\n)*.*elsewhere\n(.*\n)*said on stderr$/);
  t.notMatch(failures[0], /kept quiet|good too/);
});

t.test('a file that ends badly is one failure, also where no test failed', async (t) => {
  const report = readTap('a.test.ts', '# Subtest: good\nok 1 - good\n', 'Segmentation fault', 'SIGSEGV');
  t.match(report, { passed: 1, failed: 1, failures: [/^a.test.ts ended with SIGSEGV\n(.*\n)*ok 1 - good\n(.*\n)*Segmentation fault$/] });
});
