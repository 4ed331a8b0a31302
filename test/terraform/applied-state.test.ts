import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeleteBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import t from 'tap';
import { keys, region } from '../../local/cloud.ts';
import { accountId, applying, copyForCloud, destroying, initializing } from '../../local/terraform.ts';
import { applies, open, startCloud } from './applied.ts';
import { needsTerraform, succeeds } from './terraform.ts';

if (needsTerraform(t)) {
  t.test('terraform/state: applied whole; nothing left to plan; its lock refuses a second one; a bucket with states in it stays', async (t) => {
    const endpoint = await startCloud(t);
    const state = `region = "${region}"\naccount_id = "${accountId}"\napp = "shop"\nadministrators = ["arn:aws:iam::${accountId}:role/operator"]\n`;
    const copy = await open(t, 'state', endpoint, state);
    await applies(t, copy);
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
    // moto takes a bucket's Deny for everybody, whatever its condition says (measured): who gets at a state is judged by iam.test.ts.
    const s3 = new S3Client({ endpoint, region, credentials: keys, forcePathStyle: true });
    await s3.send(new DeleteBucketPolicyCommand({ Bucket: `pinion-shop-state-${accountId}` }));
    s3.destroy();
    await t.test('two at once', async (t) => {
      const copy = copyForCloud(t.testdir(), 'state', endpoint, {});
      for (const file of readdirSync(copy.folder)) if (file.endsWith('.tf')) rmSync(join(copy.folder, file));
      writeFileSync(join(copy.folder, 'main.tf'), backend);
      succeeds(t, await copy.terraform(initializing), 'init');
      const first = copy.terraform(applying);
      while (!existsSync(join(copy.folder, 'begun'))) await new Promise((resolve) => setTimeout(resolve, 20));
      const second = await copy.terraform(['plan', '-input=false', '-no-color']);
      t.not(second.end, 0);
      t.match(second.stderr, /Error acquiring the state lock/);
      writeFileSync(join(copy.folder, 'end'), '');
      succeeds(t, await first, 'the first goes on to its end');
      succeeds(t, await copy.terraform(destroying), 'and then another may');
    });
    const destroyed = await copy.terraform(destroying, 200);
    t.not(destroyed.end, 0, 'a bucket with states in it stays');
    t.match(destroyed.stderr, /BucketNotEmpty/);
  });
}
