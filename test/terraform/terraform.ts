/** Terraform as tests run it: in a folder of their own, with the providers of this machine, nothing of the caller's settings, and no way to an account. */
import type { Test } from 'tap';
import { type Copy, copyRoot, type Ended, execute, type RootModule, terraformProblem } from '../../local/terraform.ts';

/** Skips a file's tests by name where Terraform or its AWS provider is missing. */
export function needsTerraform(t: Pick<Test, 'plan'>): boolean {
  const missing = terraformProblem();
  if (missing !== undefined) t.plan(0, missing);
  return missing === undefined;
}

/** Runs Terraform and gives its stdout; throws with both streams. */
export async function terraform(folder: string, ...args: string[]): Promise<string> {
  const { stdout, stderr, end } = await execute(folder, args);
  if (end !== 0) throw new Error(`terraform ${args.join(' ')} ended with ${end}:\n${errorsOf(stdout)}\n${stderr}`);
  return stdout;
}

/** Of lines of JSON what is an error; of others everything. */
const errorsOf = (stdout: string): string =>
  stdout
    .split('\n')
    .filter((line) => !line.startsWith('{') || line.includes('"@level":"error"'))
    .map((line) => line.slice(0, 1_000))
    .join('\n');

export const copied = (t: Test, root: RootModule): Copy => copyRoot(t.testdir(), root);

/** Says what Terraform said where that is no success. */
export function succeeds(t: Test, { end, stdout, stderr }: Ended, what: string): boolean {
  if (end !== 0) t.comment(`${stdout}\n${stderr}`);
  return t.equal(end, 0, what);
}

/** Formatted, valid, and its own tests hold. */
export function holds(t: Test, root: RootModule): void {
  if (!needsTerraform(t)) return;
  t.test(`terraform/${root} is formatted and valid, and its own tests hold`, async (t) => {
    const { terraform } = copied(t, root);
    succeeds(t, await terraform(['fmt', '-check', '-recursive', '-diff', '-no-color']), 'fmt');
    succeeds(t, await terraform(['init', '-backend=false', '-input=false', '-no-color']), 'init');
    succeeds(t, await terraform(['validate', '-no-color']), 'validate');
    const tested = await terraform(['test', '-no-color']);
    succeeds(t, tested, 'test');
    const [, passed = '0'] = /(\d+) passed, 0 failed/.exec(tested.stdout) ?? [];
    t.ok(Number(passed) > 5, `${passed} runs`);
  });
}
