import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { inputs } from './inputs.ts';
import { copied, needsTerraform, succeeds } from './terraform.ts';

/** Characters that IAM takes, white space aside (IAM User Guide, "IAM and AWS STS quotas"). */
const [managed, inline] = [6_144, 10_240];

/** By the policy that says it: its document, and how many characters that may have. */
const limits: Readonly<Record<'app' | 'environment', Readonly<Record<string, readonly [document: string, characters: number]>>>> = {
  app: {
    'aws_iam_policy.boundary["plan"]': ['boundary["plan"]', managed],
    'aws_iam_policy.boundary["apply"]': ['apply_boundary', managed],
    'aws_iam_policy.apply["network"]': ['apply["network"]', managed],
    'aws_iam_role_policy.this["plan"]': ['grants["plan"]', inline],
  },
  environment: { 'aws_iam_policy.boundary["deploy"]': ['boundary["deploy"]', managed], 'aws_iam_role_policy.deploy': ['deploy', inline] },
};

if (needsTerraform(t)) {
  for (const [root, policies] of Object.entries(limits) as [keyof typeof limits, (typeof limits)['app']][]) {
    t.test(`terraform/${root}: a policy that IAM would refuse for its size in the middle of an apply is refused by the plan`, async (t) => {
      const run = (command: 'apply' | 'plan', documents: readonly (readonly [document: string, characters: number])[], refusing: readonly string[]) => ({
        command,
        override_data: documents.map(([document, characters]) => ({
          target: `data.aws_iam_policy_document.${document}`,
          values: { json: '{}', minified_json: 'x'.repeat(characters) },
        })),
        expect_failures: refusing,
      });
      const tooLong = Object.entries(policies).map(([policy, [document, characters]]) => run('plan', [[document, characters + 1]], [policy]));
      // A plan knows the sizes once there are buckets and keys to name.
      const runs = { fits: run('apply', Object.values(policies), []), ...Object.fromEntries(tooLong.map((each, at) => [`too_long_${at}`, each])) };
      const { folder, terraform } = copied(t, root);
      const variables = inputs[root]?.variables;
      writeFileSync(join(folder, 'tests/sizes.tftest.json'), JSON.stringify({ mock_provider: { aws: { source: './tests/mocks' } }, variables, run: runs }));
      succeeds(t, await terraform(['init', '-backend=false', '-input=false', '-no-color']), 'init');
      const tested = await terraform(['test', '-no-color', '-filter=tests/sizes.tftest.json']);
      succeeds(t, tested, 'test');
      t.match(tested.stdout, `${Object.keys(runs).length} passed, 0 failed`);
    });
  }
}
