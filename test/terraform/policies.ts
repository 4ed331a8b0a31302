// Policies as Terraform writes them, without an account: `terraform test` mocks what would be made and gives it the names that AWS would give, while policy
// documents, which ask nobody, are rendered by the real provider.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { blocksOf, rootFolder, sourcesOf } from './hcl.ts';
import type { Action, Project } from './pipelines.ts';
import { terraform } from './terraform.ts';

export const account = '123456789012';
export const region = 'eu-west-1';

export type Policy = { readonly Version: string; readonly Statement: readonly unknown[] };
export type Role = { readonly arn: string; readonly trust: Policy; readonly identity: Readonly<Record<string, Policy>>; readonly boundary: Policy | undefined };
export type Policies = {
  /** By the role's name. */
  readonly roles: Readonly<Record<string, Role>>;
  /** Of buckets and keys, by their ARN. */
  readonly resources: Readonly<Record<string, Policy>>;
  /** Of VPC endpoints, by service. */
  readonly endpoints: Readonly<Record<string, Policy>>;
  readonly projects: readonly Project[];
  readonly actions: readonly Action[];
};

type Values = Readonly<Record<string, unknown>>;
type Resource = { readonly mode: string; readonly type: string; readonly index?: unknown; readonly values: Values };

/** What a root is told: its variables, and by address what AWS names by itself. */
export type Inputs = { readonly variables: Values; readonly named: Readonly<Record<string, Values>> };

const versions = {
  terraform: { required_version: '>= 1.11', required_providers: { aws: { source: 'hashicorp/aws', configuration_aliases: ['aws.documents'] } } },
};

/** Applies all roots in a temporary copy, as modules of one configuration: what Terraform takes longest for is to load the provider. */
export async function policiesOf(inputs: Readonly<Record<string, Inputs>>): Promise<Policies> {
  const copy = await mkdtemp(join(tmpdir(), 'pinion-policies-'));
  try {
    const at = join(copy, 'terraform');
    await cp(fileURLToPath(new URL('../../pipeline/buildspecs', import.meta.url)), join(copy, 'pipeline/buildspecs'), { recursive: true });
    for (const root of Object.keys(inputs)) {
      await cp(rootFolder(root), join(at, root), {
        recursive: true,
        filter: (file) => !/\/(tests|\.terraform|versions\.tf)$|\.(tfbackend|tfvars)$/.test(file),
      });
      const asked = (await blocksOf(sourcesOf(root))).filter(
        ({ kind, type }) => kind === 'data' && (type === 'aws_iam_policy_document' || type === 'aws_partition'),
      );
      await writeFile(join(at, root, 'versions.tf.json'), JSON.stringify(versions));
      await writeFile(
        join(at, root, 'documents_override.tf'),
        asked.map(({ type, name }) => `data "${type}" "${name}" {\n  provider = aws.documents\n}\n`).join(''),
      );
    }
    await writeFile(join(at, 'main.tf.json'), JSON.stringify(configurationOf(inputs)));
    await writeFile(join(at, 'policies.tftest.json'), JSON.stringify(testOf(inputs)));
    await terraform(at, 'init', '-input=false', '-no-color');
    return collect(resourcesOf(await terraform(at, 'test', '-json', '-verbose')));
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

const configurationOf = (inputs: Readonly<Record<string, Inputs>>) => ({
  terraform: { required_providers: { aws: { source: 'hashicorp/aws' } } },
  provider: {
    aws: {
      alias: 'documents',
      region,
      access_key: 'none',
      secret_key: 'none',
      skip_credentials_validation: true,
      skip_metadata_api_check: true,
      skip_requesting_account_id: true,
    },
  },
  module: Object.fromEntries(
    Object.entries(inputs).map(([root, { variables }]) => [
      root,
      { source: `./${root}`, providers: { aws: 'aws', 'aws.documents': 'aws.documents' }, ...variables },
    ]),
  ),
});

const testOf = (inputs: Readonly<Record<string, Inputs>>) => ({
  mock_provider: {
    aws: {
      override_resource: Object.entries(inputs).flatMap(([root, { named }]) =>
        Object.entries(named).map(([address, values]) => ({ target: `module.${root}.${address}`, values })),
      ),
    },
  },
  run: { policies: { command: 'apply' } },
});

function resourcesOf(lines: string): Resource[] {
  const state = lines.split('\n').find((line) => line.includes('"type":"test_state"'));
  if (state === undefined) throw new Error(`terraform test gave no state:\n${lines.slice(0, 2_000)}`);
  const { root_module } = (JSON.parse(state) as { test_state: { root_module: { child_modules: { resources: Resource[] }[] } } }).test_state;
  return root_module.child_modules.flatMap(({ resources }) => resources);
}

const read = (text: unknown): Policy => JSON.parse(String(text)) as Policy;

type Variable = { readonly name: string };

function projectOf({ name, service_role, source, environment }: Values): Project {
  const [{ buildspec } = { buildspec: '' }] = source as { buildspec: string }[];
  const given = (environment as { environment_variable: Variable[] }[]).flatMap((each) => each.environment_variable.map((variable) => variable.name));
  return { name: String(name), role: String(service_role), buildspec, given };
}

function actionsOf({ name: pipeline, stage }: Values): Action[] {
  type Written = { name: string; namespace: string | null; configuration: Record<string, string> | null };
  return (stage as { action: Written[] }[]).flatMap(({ action }) =>
    action.map(({ name, namespace, configuration }) => ({
      ...{
        pipeline: String(pipeline),
        name,
        namespace: namespace ?? undefined,
        project: configuration?.ProjectName,
        texts: Object.values(configuration ?? {}),
      },
      given: (JSON.parse(configuration?.EnvironmentVariables ?? '[]') as Variable[]).map((variable) => variable.name),
    })),
  );
}

function collect(resources: readonly Resource[]): Policies {
  const of = (type: string) =>
    resources.filter((resource) => resource.mode === 'managed' && resource.type === type).map(({ values, index }) => ({ ...values, index }) as Values);
  const managed = new Map(of('aws_iam_policy').map(({ arn, name, policy }) => [arn, { name: String(name), policy: read(policy) }]));
  const attached = of('aws_iam_role_policy_attachment').map(({ role, policy_arn }) => ({ role, ...managed.get(policy_arn) }));
  const identity = [...of('aws_iam_role_policy').map(({ role, name, policy }) => ({ role, name: String(name), policy: read(policy) })), ...attached];
  const bucketArn = new Map(of('aws_s3_bucket').map(({ id, arn }) => [id, String(arn)]));
  return {
    roles: Object.fromEntries(
      of('aws_iam_role').map(({ id, name, arn, assume_role_policy, permissions_boundary }) => [
        name,
        {
          arn: String(arn),
          trust: read(assume_role_policy),
          identity: Object.fromEntries(identity.filter(({ role }) => role === id || role === name).map(({ name, policy }) => [name, policy])),
          boundary: managed.get(permissions_boundary)?.policy,
        },
      ]),
    ),
    resources: Object.fromEntries([
      ...of('aws_s3_bucket_policy').map(({ bucket, policy }) => [bucketArn.get(bucket), read(policy)]),
      ...of('aws_kms_key').map(({ arn, policy }) => [arn, read(policy)]),
    ]),
    projects: of('aws_codebuild_project').map(projectOf),
    actions: of('aws_codepipeline').flatMap(actionsOf),
    endpoints: Object.fromEntries(of('aws_vpc_endpoint').map(({ index, policy }) => [typeof index === 'string' ? index : 's3', read(policy)])),
  };
}
