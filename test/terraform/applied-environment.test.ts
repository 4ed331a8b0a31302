import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { region } from '../../local/cloud.ts';
import type { Asked } from '../../local/gateway.ts';
import { accountId, applying, destroying } from '../../local/terraform.ts';
import { keepingPlan, open, startCloud } from './applied.ts';
import { mayAll, terraformRoles } from './provider-calls.ts';
import { needsTerraform, succeeds } from './terraform.ts';

const environment = (tags: string) => `
region     = "${region}"
account_id = "${accountId}"
app        = "shop"
env        = "prod"
vpc        = { cidr = "10.20.0.0/16", availability_zones = ["${region}a", "${region}b"] }
egress     = "endpoints"
balancer   = { http_only = true, deletion_protection = false }
image      = { id = "ami-0123456789abcdef0" }
fleet      = { instance_type = "t3.small", min = 2, max = 4 }
artifacts  = { bucket = "pinion-shop-artifacts-${accountId}" }
app_role   = { statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::shop-uploads/*"] }] }
tags       = ${tags}
`;

if (needsTerraform(t)) {
  // What it makes is looked at by `npm run rehearse -- --terraform`.
  t.test('terraform/environment: all that the provider asks is given to the roles of plan and apply', async (t) => {
    const asked: Asked[] = [];
    const take = () => asked.splice(0);
    const endpoint = await startCloud(t, (each) => asked.push(each));
    const copy = await open(t, 'environment', endpoint, environment('{ Team = "a" }'));
    // Side by side: most of an apply is the provider's waiting.
    const [{ plan, apply }, made] = await Promise.all([terraformRoles(), copy.terraform(applying, 200)]);
    succeeds(t, made, 'apply');
    mayAll(t, apply, take(), ['ec2:CreateVpc', 'iam:CreatePolicy']);
    writeFileSync(join(copy.folder, 'test.auto.tfvars'), environment('{ Cost = "b" }'));
    succeeds(t, await copy.terraform(keepingPlan), 'plan of other tags');
    const looking = take();
    mayAll(t, plan, looking);
    mayAll(t, apply, looking);
    succeeds(t, await copy.terraform([...applying, 'kept'], 200), 'apply of other tags');
    mayAll(t, apply, take());
    succeeds(t, await copy.terraform([...destroying, '-refresh=false'], 200), 'destroy');
    mayAll(t, apply, take(), ['iam:DeletePolicy']);
  });
}
