/** The real provider against the local cloud: what it makes is made, a second plan finds nothing to do, and it goes away again. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EC2Client } from '@aws-sdk/client-ec2';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import t, { type Test } from 'tap';
import { firstProblem } from '../../contract/document.ts';
import { infrastructureSchema } from '../../contract/infrastructure.ts';
import { createAutoScaling } from '../../local/autoscaling/autoscaling.ts';
import { awsTimers } from '../../local/autoscaling/timers.ts';
import { keys, region } from '../../local/cloud.ts';
import { startGateway } from '../../local/gateway.ts';
import type { TargetGroup } from '../../local/load-balancer/target-group.ts';
import { startMoto } from '../../local/moto.ts';
import { readTemplateVersion } from '../../pipeline/rollout/template.ts';
import { type Copy, copyRoot, needsTerraform, type Root, succeeds } from './terraform.ts';

/** The account that moto answers for. */
const accountId = '123456789012';
const noChanges = 0;

/** moto with our Auto Scaling, which launches nothing: Launch is suspended. */
async function startCloud(t: Test): Promise<string> {
  const moto = await startMoto();
  t.teardown(moto.stop);
  const ec2 = new EC2Client({ endpoint: moto.endpoint, region, credentials: keys });
  t.teardown(() => ec2.destroy());
  const { signal } = new AbortController();
  const autoScaling = createAutoScaling({
    launcher: { launch: () => Promise.reject(new Error('nothing is to be launched')) },
    // Which there are is moto's business.
    targetGroups: Object.assign(new Map<string, TargetGroup>(), { has: () => true }),
    timers: { ...awsTimers, secondMs: 10, tickMs: 50 },
    templates: {
      async resolve(id, version) {
        const found = await readTemplateVersion(ec2, id, version, signal);
        return found && { id, name: 'pinion-shop-test', version: String(found.number), imageId: found.imageId ?? '', usesResolveSsm: false };
      },
    },
    alarmState: async () => 'OK',
    say: (line) => t.fail(line),
  });
  t.teardown(autoScaling.stop);
  const gateway = await startGateway({ owned: { autoscaling: { service: autoScaling.service, dialect: 'query' } }, rest: moto.endpoint });
  t.teardown(gateway.stop);
  return gateway.endpoint;
}

const provider = `
terraform {
  backend "local" {}
}
provider "aws" {
  s3_use_path_style       = true
  skip_metadata_api_check = true
}
`;
const credentials = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey, AWS_REGION: region };

async function open(t: Test, root: Root, endpoint: string, variables: string): Promise<Copy> {
  const overrides = { 'zz_override.tf': provider, 'test.auto.tfvars': variables };
  const opened = copyRoot(t, root, overrides, { ...credentials, AWS_ENDPOINT_URL: endpoint });
  succeeds(t, await opened.terraform(['init', '-input=false', '-no-color']), 'init');
  return opened;
}

/** Applied whole, in less than the three minutes that are promised; nothing left to plan; and destroyed. */
async function proves(t: Test, { terraform }: Copy, between: () => Promise<void> = async () => {}): Promise<void> {
  const begunMs = performance.now();
  if (!succeeds(t, await terraform(['apply', '-auto-approve', '-input=false', '-no-color'], 200), 'apply')) return;
  t.comment(`applied in ${((performance.now() - begunMs) / 1_000).toFixed(0)} s`);
  t.ok(performance.now() - begunMs < 180_000);
  const again = await terraform(['plan', '-detailed-exitcode', '-input=false', '-no-color']);
  if (again.end !== noChanges) t.comment(again.stdout);
  t.equal(again.end, noChanges, 'a second plan finds nothing to do');
  await between();
  succeeds(t, await terraform(['destroy', '-auto-approve', '-input=false', '-no-color'], 200), 'destroy');
}

const environment = `
region     = "${region}"
account_id = "${accountId}"
app        = "shop"
env        = "test"
vpc        = { cidr = "10.20.0.0/16", availability_zones = ["${region}a", "${region}b"] }
egress     = "endpoints"
balancer   = { http_only = true, deletion_protection = false }
image      = { id = "ami-0123456789abcdef0" }
fleet      = { instance_type = "t3.small", min = 2, max = 4 }
artifacts  = { bucket = "pinion-shop-artifacts-${accountId}" }
`;

if (needsTerraform(t)) {
  t.test('terraform/environment: applied whole, nothing left to plan, the document as the CLI reads it, and destroyed', async (t) => {
    const endpoint = await startCloud(t);
    await proves(t, await open(t, 'environment', endpoint, environment), async () => {
      const ssm = new SSMClient({ endpoint, region, credentials: keys });
      const { Parameter: parameter } = await ssm.send(new GetParameterCommand({ Name: '/pinion/shop/test/infrastructure' }));
      const document = JSON.parse(parameter?.Value ?? '');
      t.equal(firstProblem(infrastructureSchema, document), undefined);
      t.match(document, { autoScalingGroup: 'pinion-shop-test', hooks: { launch: 'launch', terminate: 'terminate' } });
      t.equal(document.alarms.length, 5);
      ssm.destroy();
    });
  });

  t.test('terraform/state: applied whole; its lock refuses a second one; nothing left to plan', async (t) => {
    const endpoint = await startCloud(t);
    const state = `region = "${region}"\naccount_id = "${accountId}"\napp = "shop"\nadministrators = ["arn:aws:iam::${accountId}:role/operator"]\n`;
    await proves(t, await open(t, 'state', endpoint, state), async () => {
      const backend = `
terraform {
  backend "s3" {
    bucket                      = "pinion-shop-state-${accountId}"
    key                         = "lock-test.tfstate"
    region                      = "${region}"
    use_lockfile                = true
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
    endpoints                   = { s3 = "${endpoint}" }
  }
}
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "touch begun && until [ -e end ]; do sleep 0.05; done"
  }
}
`;
      await t.test('two at once', async (t) => {
        const copy = copyRoot(t, 'state', {}, { ...credentials });
        for (const file of readdirSync(copy.folder)) if (file.endsWith('.tf')) rmSync(join(copy.folder, file));
        writeFileSync(join(copy.folder, 'main.tf'), backend);
        succeeds(t, await copy.terraform(['init', '-input=false', '-no-color']), 'init');
        const first = copy.terraform(['apply', '-auto-approve', '-input=false', '-no-color']);
        while (!existsSync(join(copy.folder, 'begun'))) await new Promise((resolve) => setTimeout(resolve, 20));
        const second = await copy.terraform(['plan', '-input=false', '-no-color']);
        t.not(second.end, 0);
        t.match(second.stderr, /Error acquiring the state lock/);
        writeFileSync(join(copy.folder, 'end'), '');
        succeeds(t, await first, 'the first goes on to its end');
        succeeds(t, await copy.terraform(['destroy', '-auto-approve', '-input=false', '-no-color']), 'and then another may');
      });
    });
  });
}
