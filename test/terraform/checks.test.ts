/** What others' scanners find in terraform/: nothing, unless a reason stands beside it. Each also meets a wrong root, in which it must find what is wrong. */
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { run } from '../support/run-files.ts';
import { needsNamespaces, needsTool } from '../support/tool.ts';

const terraform = fileURLToPath(new URL('../../terraform', import.meta.url));

/** A copy of all roots, with a wrong one beside them. */
function withWrongRoot(t: Test): string {
  const folder = join(t.testdir(), 'terraform');
  cpSync(terraform, folder, { recursive: true, filter: (path) => basename(path) !== '.terraform' });
  mkdirSync(join(folder, 'wrong'));
  const volume = 'resource "aws_ebs_volume" "wrong" {\n  availability_zone = "eu-west-1a"\n  size = 1\n}\n';
  writeFileSync(join(folder, 'wrong/main.tf'), `variable "unused" {\n  type = string\n}\n\n${volume}`);
  return folder;
}

type Check = {
  readonly check_id: string;
  readonly file_path: string;
  readonly resource: string;
  readonly check_result: { readonly suppress_comment?: string };
};

t.test('checkov: no failed check, and for each that is left out a reason', async (t) => {
  if (!needsTool(t, 'checkov', 'pip install --require-hashes -r test/terraform/requirements.txt') || !needsNamespaces(t)) return;
  const folder = withWrongRoot(t);
  // Without a network: it would ask its makers' server.
  const args = ['-d', folder, '--framework', 'terraform', '--skip-download', '--output', 'json'];
  const { stdout, stderr } = await run('unshare', ['-rn', 'checkov', ...args], folder);
  const { results, summary } = JSON.parse(stdout || stderr) as {
    results: Readonly<Record<'failed_checks' | 'skipped_checks', readonly Check[]>>;
    summary: Readonly<Record<string, number>>;
  };
  t.equal(summary.parsing_errors, 0);
  t.ok((summary.resource_count ?? 0) > 100, `${summary.resource_count} resources`);
  const failed = results.failed_checks.map(({ check_id: id, file_path: file, resource }) => `${file} ${resource}: ${id}`);
  t.match(failed, [/^\/wrong\/main\.tf aws_ebs_volume\.wrong: CKV/], 'it sees the wrong one');
  t.same(
    failed.filter((each) => !each.startsWith('/wrong/')),
    [],
  );
  for (const { check_id: id, file_path: file, check_result: result } of results.skipped_checks) {
    t.match(result.suppress_comment, /\w \w.* \w/, `${file}: ${id}: ${result.suppress_comment}`);
  }
  const leftOut = new Set(results.skipped_checks.map(({ check_id: id, file_path: file }) => `${file} ${id}`));
  const reasons = globSync(join(folder, '**/*.tf')).flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/checkov:skip=(\w+)/g)].map(([, id]) => `/${relative(folder, file)} ${id}`),
  );
  t.same(
    reasons.filter((reason) => !leftOut.has(reason)),
    [],
    'no reason for a check that would pass',
  );
});

t.test('tflint: nothing to say', async (t) => {
  const install = 'tflint is missing: CGO_ENABLED=0 go install github.com/terraform-linters/tflint@v0.54.0';
  if (spawnSync('tflint', ['--version']).error !== undefined) return void t.plan(0, install);
  const folder = withWrongRoot(t);
  const args = ['--chdir', folder, '--recursive', '--config', join(folder, '.tflint.hcl'), '--format', 'json'];
  const { stdout, stderr } = await run('tflint', args, folder);
  const { issues, errors } = JSON.parse(stdout || stderr) as {
    issues: readonly { readonly rule: { readonly name: string }; readonly message: string; readonly range: { readonly filename: string } }[];
    errors: readonly object[];
  };
  t.same(errors, []);
  const found = issues.map(({ rule, message, range }) => `${range.filename}: ${rule.name}: ${message}`);
  t.match(found, [/^wrong\/main\.tf: terraform_/], 'it sees the wrong one');
  t.same(
    found.filter((each) => !each.startsWith('wrong/')),
    [],
  );
});
