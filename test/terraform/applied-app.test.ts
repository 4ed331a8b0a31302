import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { region } from '../../local/cloud.ts';
import type { Asked } from '../../local/gateway.ts';
import { accountId, applying, destroying } from '../../local/terraform.ts';
import { applies, keepingPlan, open, startCloud } from './applied.ts';
import { mayAll, terraformRoles } from './provider-calls.ts';
import { needsTerraform, succeeds } from './terraform.ts';

const digest = 'a'.repeat(64);
const key = `arn:aws:kms:${region}:${accountId}:key/00000000-0000-0000-0000-000000000000`;
const app = (environments: string, buildImageDay: string, tags = '{ Team = "a" }') => `
region       = "${region}"
account_id   = "${accountId}"
app          = "shop"
environments = ${environments}
repository = {
  connection_arn = "arn:aws:codeconnections:${region}:${accountId}:connection/00000000-0000-0000-0000-000000000000"
  name           = "example/shop"
}
build_image   = "aws/codebuild/standard:7.0-${buildImageDay}"
terraform     = { version = "1.11.4", sha256 = "${digest}" }
state_key_arn = "${key}"
notify_emails = ["shop@example.com"]
tags          = ${tags}
bake = {
  vpc_id               = "vpc-0123456789abcdef0"
  subnet_id            = "subnet-0123456789abcdef0"
  security_group_id    = "sg-0123456789abcdef0"
  kms_key_arn          = "${key}"
  packer_version       = "1.11.2"
  packer_sha256        = "${digest}"
  amazon_plugin_sha256 = "${digest}"
  agents = {
    cloudwatch_agent_version = "1.300057.0b1161"
    cloudwatch_agent_sha256  = "${digest}"
    ssm_agent_version        = "3.3.2299.0"
    ssm_agent_sha256         = "${digest}"
  }
}
`;

type Action = { readonly name: string; readonly runOrder: number; readonly configuration: Readonly<Record<string, string>> };
type Pipeline = {
  readonly name: string;
  readonly pipelineType: string;
  readonly executionMode: string;
  readonly artifactStore: { readonly location: string; readonly encryptionKey: { readonly id: string } };
  readonly triggers: readonly object[];
  readonly stages: readonly { readonly name: string; readonly actions: readonly Action[] }[];
};
type Project = {
  readonly name: string;
  readonly encryptionKey: string;
  readonly source: { readonly location?: string };
  readonly environment: { readonly image: string };
  readonly vpcConfig?: { readonly subnets?: readonly string[] };
};
type Made = { readonly pipelines: Readonly<Record<string, Pipeline>>; readonly projects: Readonly<Record<string, Project>> };

/** Asks a service that speaks JSON 1.1. */
const asking =
  (endpoint: string) =>
  async <Answer>(service: string, target: string, input: object = {}): Promise<Answer> => {
    const headers = {
      authorization: `AWS4-HMAC-SHA256 Credential=local/20260101/${region}/${service}/aws4_request`,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': target,
    };
    const answer = await fetch(endpoint, { method: 'POST', headers, body: JSON.stringify(input) });
    if (!answer.ok) throw new Error(`${target}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Answer;
  };
type Ask = ReturnType<typeof asking>;

/** Every pipeline and build project there is, by its name without pinion-shop. */
async function made(ask: Ask): Promise<Made> {
  const short = (name: string) => name.replace(/^pinion-shop-/, '');
  const named = await ask<{ pipelines: { name: string }[] }>('codepipeline', 'CodePipeline_20150709.ListPipelines');
  const pipelines = await Promise.all(
    named.pipelines.map(async ({ name }) => (await ask<{ pipeline: Pipeline }>('codepipeline', 'CodePipeline_20150709.GetPipeline', { name })).pipeline),
  );
  const { projects: names } = await ask<{ projects: string[] }>('codebuild', 'CodeBuild_20161006.ListProjects');
  const { projects } = await ask<{ projects: Project[] }>('codebuild', 'CodeBuild_20161006.BatchGetProjects', { names });
  const byName = <Each extends { readonly name: string }>(all: readonly Each[]) => Object.fromEntries(all.map((each) => [short(each.name), each]));
  return { pipelines: byName(pipelines), projects: byName(projects) };
}

if (needsTerraform(t)) {
  t.test('terraform/app: applied whole without environments and then with two, nothing left to plan, given other tags, and destroyed', async (t) => {
    const asked: Asked[] = [];
    /** What Terraform asks, and not the test. */
    const during = async (run: () => Promise<unknown>) => {
      asked.length = 0;
      await run();
      return asked.splice(0);
    };
    const endpoint = await startCloud(t, (each) => asked.push(each));
    const ask = asking(endpoint);
    const copy = await open(t, 'app', endpoint, app('[]', '26.07.01'));
    const runs = async (what: string, args: readonly string[]) => succeeds(t, await copy.terraform(args, 200), what);
    const [{ plan, apply }, first] = await Promise.all([terraformRoles(), during(() => runs('apply without environments', applying))]);
    // An administrator applies first, and whenever policies change.
    mayAll(t, apply, first, ['iam:AttachRolePolicy', 'iam:CreatePolicy']);
    t.same(Object.keys((await made(ask)).pipelines).sort(), ['image', 'infrastructure']);
    const withTags = (tags?: string) =>
      writeFileSync(join(copy.folder, 'test.auto.tfvars'), app('[{ name = "staging" }, { name = "prod", expected_minutes = 100 }]', '26.07.29', tags));
    withTags();
    mayAll(t, apply, await during(() => applies(t, copy)), ['iam:CreatePolicy', 'iam:CreatePolicyVersion']);
    await looksRight(t, ask);
    withTags('{ Cost = "b" }');
    const looking = await during(() => runs('plan of other tags', keepingPlan));
    mayAll(t, plan, looking);
    mayAll(t, apply, looking);
    mayAll(t, apply, await during(() => runs('apply of other tags', [...applying, 'kept'])));
    // What is there has just been planned.
    mayAll(t, apply, await during(() => runs('destroy', [...destroying, '-refresh=false'])), [
      'iam:DeletePolicy',
      'iam:DeletePolicyVersion',
      'iam:DetachRolePolicy',
    ]);
    t.same(await made(ask), { pipelines: {}, projects: {} });
  });
}

async function looksRight(t: Test, ask: Ask): Promise<void> {
  const { pipelines, projects } = await made(ask);
  const of = (pipeline: string) =>
    pipelines[pipeline]?.stages.map(({ name, actions }) => ({ name, actions: actions.map((each) => `${each.runOrder} ${each.name}`) }));

  await t.test('one execution of a pipeline waits for the one before', async (t) => {
    const kinds = Object.entries(pipelines).map(([name, { pipelineType, executionMode }]) => [name, pipelineType, executionMode]);
    t.same(kinds.sort(), [
      ['app', 'V2', 'QUEUED'],
      ['image', 'V2', 'QUEUED'],
      ['infrastructure', 'V2', 'QUEUED'],
    ]);
  });

  await t.test('an approval is given before what it approves begins', async (t) => {
    // Actions of one number run side by side.
    t.same(of('app'), [
      { name: 'source', actions: ['1 source'] },
      { name: 'build', actions: ['1 build'] },
      { name: 'staging', actions: ['3 deploy', '4 keep-source'] },
      { name: 'prod', actions: ['1 approve', '2 release', '3 deploy', '4 keep-source'] },
    ]);
    const planned = ['1 plan', '2 approve', '3 apply'];
    t.same(of('infrastructure'), [{ name: 'source', actions: ['1 source'] }, ...['staging', 'prod', 'pipelines'].map((name) => ({ name, actions: planned }))]);
  });

  await t.test('a push starts the pipeline whose files it changes', async (t) => {
    const trigger = (filePaths: object) => [
      { providerType: 'CodeStarSourceConnection', gitConfiguration: { sourceActionName: 'source', push: [{ branches: { includes: ['main'] }, filePaths }] } },
    ];
    t.same(pipelines.app?.triggers, trigger({ includes: ['**'], excludes: ['pinion/**'] }));
    t.same(pipelines.infrastructure?.triggers, trigger({ includes: ['pinion/terraform/**', 'pinion/pipeline/buildspecs/**'] }));
    t.same(pipelines.image?.triggers, trigger({ includes: ['pinion/agent/**', 'pinion/contract/**', 'pinion/package-lock.json', 'pinion/packer/**'] }));
    const sources = Object.values(pipelines).map(({ stages: [source] }) => source?.actions[0]?.configuration.DetectChanges);
    t.same(sources, ['false', 'false', 'false'], 'and no push beside these');
  });

  await t.test('a build reads and writes the files of its pipeline with the key of their bucket', async (t) => {
    for (const { name, artifactStore, stages } of Object.values(pipelines)) {
      const started = stages.flatMap(({ actions }) => actions.flatMap(({ configuration }) => configuration.ProjectName ?? []));
      t.ok(started.length > 0, name);
      for (const project of started) t.equal(projects[project.replace('pinion-shop-', '')]?.encryptionKey, artifactStore.encryptionKey.id, project);
    }
    t.not(pipelines.infrastructure?.artifactStore.encryptionKey.id, pipelines.app?.artifactStore.encryptionKey.id);
  });

  await t.test('a rollback works from the source that the app pipeline keeps', async (t) => {
    for (const env of ['staging', 'prod']) {
      const kept = pipelines.app?.stages.find(({ name }) => name === env)?.actions.at(-1)?.configuration;
      const project = projects[`rollback-${env}`];
      t.equal(project?.source.location, `${kept?.BucketName}/${kept?.ObjectKey}`);
      t.equal(project?.encryptionKey, kept?.KMSEncryptionKeyARN);
    }
  });

  await t.test('a newer build image reaches every project, and one alone builds in the subnet of bakes', async (t) => {
    t.same(new Set(Object.values(projects).map(({ environment }) => environment.image)), new Set(['aws/codebuild/standard:7.0-26.07.29']));
    const inSubnet = Object.entries(projects).filter(([, { vpcConfig }]) => (vpcConfig?.subnets ?? []).length > 0);
    t.same(
      inSubnet.map(([name]) => name),
      ['image'],
    );
  });

  await t.test('what fails is told, and a new image is planned', async (t) => {
    const rule = async (name: string) => {
      const Name = `pinion-shop-${name}`;
      const { EventPattern: pattern } = await ask<{ EventPattern: string }>('events', 'AWSEvents.DescribeRule', { Name });
      const { Targets: targets } = await ask<{ Targets: object[] }>('events', 'AWSEvents.ListTargetsByRule', { Rule: Name });
      return { detail: JSON.parse(pattern).detail, targets };
    };
    const topic = { Arn: `arn:aws:sns:${region}:${accountId}:pinion-shop-pipelines` };
    const [pipelinesRule, rollbacksRule, proposeRule] = await Promise.all(['failed-pipelines', 'failed-rollbacks', 'propose'].map(rule));
    t.same(
      pipelinesRule?.detail.pipeline.sort(),
      Object.values(pipelines)
        .map(({ name }) => name)
        .sort(),
    );
    t.same(rollbacksRule?.detail['project-name'].sort(), ['pinion-shop-rollback-prod', 'pinion-shop-rollback-staging']);
    for (const told of [pipelinesRule, rollbacksRule]) t.match(told?.targets, [topic]);
    t.match(proposeRule?.targets, [
      { Arn: `arn:aws:codepipeline:${region}:${accountId}:${pipelines.infrastructure?.name}`, RoleArn: `arn:aws:iam::${accountId}:role/pinion-shop-propose` },
    ]);
  });
}
