import t from 'tap';
import { needsTool } from './tool.ts';

t.test('a missing tool skips its test with the command that installs it, and fails it under CI', async (t) => {
  const before = process.env.CI;
  t.teardown(() => (before === undefined ? delete process.env.CI : Object.assign(process.env, { CI: before })));
  const said: unknown[] = [];
  const test = { plan: (...words: unknown[]) => void said.push('plan', ...words), fail: (...words: unknown[]) => said.push('fail', ...words) > 0 };
  delete process.env.CI;
  t.equal(needsTool(test, 'sh', 'apt-get install dash'), true);
  t.equal(needsTool(test, 'no-such-tool', 'apt-get install it'), false);
  process.env.CI = 'true';
  t.equal(needsTool(test, 'no-such-tool', 'apt-get install it'), false);
  t.same(said, ['plan', 0, 'no-such-tool is missing: apt-get install it', 'fail', 'no-such-tool is missing: apt-get install it']);
});
