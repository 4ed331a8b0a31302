import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import t from 'tap';
import { firstProblem } from '../../contract/document.ts';
import { infrastructureSchema } from '../../contract/infrastructure.ts';
import { keys, region } from '../../local/cloud.ts';
import { accountId, applies, destroying, open, startCloud } from './applied.ts';
import { needsTerraform, succeeds } from './terraform.ts';

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
    const copy = await open(t, 'environment', endpoint, environment);
    await applies(t, copy);
    const ssm = new SSMClient({ endpoint, region, credentials: keys });
    const { Parameter: parameter } = await ssm.send(new GetParameterCommand({ Name: '/pinion/shop/test/infrastructure' }));
    const document = JSON.parse(parameter?.Value ?? '');
    t.equal(firstProblem(infrastructureSchema, document), undefined);
    t.match(document, { autoScalingGroup: 'pinion-shop-test', hooks: { launch: 'launch', terminate: 'terminate' } });
    t.equal(document.alarms.length, 5);
    ssm.destroy();
    succeeds(t, await copy.terraform(destroying, 200), 'destroy');
  });
}
