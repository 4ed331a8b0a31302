import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, chmodSync, cpSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoScalingClient, CancelInstanceRefreshCommand, DescribeInstanceRefreshesCommand, StartInstanceRefreshCommand } from '@aws-sdk/client-auto-scaling';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import t, { type Test } from 'tap';
import { keys, region } from '../../local/cloud.ts';
import { localPython } from '../../local/moto.ts';
import { execute } from '../../local/terraform.ts';
import { runBuildspec } from '../support/buildspecs.ts';
import { eventually } from '../support/eventually.ts';
import { needsNamespaces, needsTool } from '../support/tool.ts';
import { startCloud } from './applied.ts';
import { needsTerraform } from './terraform.ts';

const node = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url));

/** What a build needs that CodeBuild's images have. */
const needsImage = (t: Test): boolean =>
  needsTool(t, 'aws', 'pip install awscli') && needsTool(t, 'jq', 'apt-get install jq') && needsTool(t, 'unzip', 'apt-get install unzip') && needsNamespaces(t);

/** An archive of programs, as their makers' download servers give it. */
function zipOf(file: string, programs: Readonly<Record<string, string>>): string {
  const program = 'import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], "w") as z:\n for p in sys.argv[2:]: z.write(*p.split("=")[::-1])';
  execFileSync(localPython, ['-c', program, file, ...Object.entries(programs).map(([name, path]) => `${name}=${path}`)]);
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function script(file: string, text: string): string {
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** A cloud, and a machine with a `curl` that gives what is in `downloads` by the end of its address, and writes down what was asked. */
async function openBuilds(t: Test) {
  const base = t.testdir({ bin: {}, downloads: {} });
  const downloads = join(base, 'downloads');
  const asked = join(base, 'asked');
  script(join(base, 'bin/curl'), `echo "$@" >>${asked}; cp "${downloads}/$(basename "$3")" "$2"`);
  const endpoint = await startCloud(t);
  const given = { endpoint, region, credentials: keys };
  const clients = { ssm: new SSMClient(given), s3: new S3Client({ ...given, forcePathStyle: true }), autoScaling: new AutoScalingClient(given) };
  t.teardown(() => Object.values(clients).forEach((client) => void client.destroy()));
  const environment = {
    ...{ HOME: base, PATH: [join(base, 'bin'), node, '/usr/local/bin', process.env.PATH].join(delimiter), AWS_ENDPOINT_URL: endpoint, AWS_REGION: region },
    ...{ AWS_DEFAULT_REGION: region, AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey },
    ...{ CODEBUILD_BUILD_ID: 'shop:1', CODEBUILD_INITIATOR: 'codepipeline/shop', CODEBUILD_RESOLVED_SOURCE_VERSION: '4f2c0de' },
  };
  let containers = 0;
  /** Each build has folders of its own, as a new container has. */
  const container = () => {
    const folder = join(base, `container-${++containers}`);
    for (const name of ['src', 'source', 'bin']) mkdirSync(join(folder, name), { recursive: true });
    return { src: join(folder, 'src'), source: join(folder, 'source'), localBin: join(folder, 'bin') };
  };
  const parameter = async (name: string) => (await clients.ssm.send(new GetParameterCommand({ Name: name })).catch(() => undefined))?.Parameter;
  return { base, downloads, clients, environment, container, parameter, asked: () => readFileSync(asked, 'utf8').trim().split('\n') };
}

const group = 'pinion-shop-test';
const root = `terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }

  backend "s3" {}
}

provider "aws" {
  skip_metadata_api_check = true
}

variable "image" {
  type = object({ id = string })
}

variable "greeting" {
  type = string
}

resource "aws_ssm_parameter" "greeting" {
  name  = "/greeting"
  type  = "String"
  value = "\${var.greeting} from \${var.image.id}"
}

resource "aws_launch_template" "fleet" {
  name                   = "${group}"
  image_id               = var.image.id
  instance_type          = "t3.small"
  update_default_version = true
}

resource "aws_autoscaling_group" "fleet" {
  name                      = "${group}"
  availability_zones        = ["${region}a"]
  min_size                  = 0
  max_size                  = 1
  suspended_processes       = ["Launch"]
  wait_for_capacity_timeout = "0"

  launch_template {
    id      = aws_launch_template.fleet.id
    version = "1"
  }
}
`;
const backend = (endpoint: string) => `bucket = "states"
key = "environment/test.tfstate"
region = "${region}"
use_lockfile = true
use_path_style = true
endpoints = { s3 = "${endpoint}" }
`;

t.test('plan, approve, apply: the very file that was planned, and not while a refresh runs', async (t) => {
  if (!needsTerraform(t) || !needsImage(t)) return;
  const { base, downloads, clients, environment, container, parameter, asked } = await openBuilds(t);
  await clients.s3.send(new CreateBucketCommand({ Bucket: 'states', CreateBucketConfiguration: { LocationConstraint: region } }));
  const image = (id: string) => clients.ssm.send(new PutParameterCommand({ Name: '/pinion/image', Value: id, Type: 'String', Overwrite: true }));
  await image('ami-0123456789abcdef0');

  const sources = join(base, 'sources');
  const folder = join(sources, 'pinion/terraform/environment');
  mkdirSync(folder, { recursive: true });
  const files = { 'main.tf': root, 'test.tfvars': 'greeting = "hello"\n', 'test.s3.tfbackend': backend(environment.AWS_ENDPOINT_URL) };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const version = JSON.parse((await execute(folder, ['version', '-json'])).stdout).terraform_version;
  const program = execFileSync('sh', ['-c', 'command -v terraform'], { encoding: 'utf8' }).trim();
  const sha256 = zipOf(join(downloads, `terraform_${version}_linux_amd64.zip`), { terraform: realpathSync(program) });
  const project = {
    ...{ ...environment, TF_CLI_CONFIG_FILE: join(folder, 'terraform.rc'), TERRAFORM_VERSION: version, TERRAFORM_SHA256: sha256 },
    ...{ TERRAFORM_ROOT: 'environment', TERRAFORM_NAME: 'test' },
  };

  const plan = async (more: Readonly<Record<string, string>> = {}) => {
    const { src, localBin } = container();
    cpSync(sources, src, { recursive: true });
    const build = await runBuildspec('plan', { folder: src, localBin, environment: { ...project, ...more } });
    return { ...build, localBin, file: join(src, 'plan') };
  };
  const apply = async (file: string, approved = '', damage = '') => {
    const { src, source, localBin } = container();
    cpSync(sources, source, { recursive: true });
    cpSync(file, join(src, 'plan'));
    appendFileSync(join(src, 'plan'), damage);
    return runBuildspec('apply', { folder: src, localBin, environment: { ...project, CODEBUILD_SRC_DIR_source: source, PLAN_SHA256: approved } });
  };

  const another = await plan({ TERRAFORM_SHA256: sha256.replace(/^./, (first) => (first === '0' ? '1' : '0')) });
  t.equal(another.end, 1, 'another archive than the pinned one');
  t.match(another.stdout, /^terraform\.zip: FAILED$/m);
  t.notOk(existsSync(join(another.localBin, 'terraform')), 'is not unpacked');
  t.notOk(existsSync(another.file));

  const first = await plan();
  t.equal(first.end, 0, `${first.stdout}${first.stderr}`);
  t.match(asked(), [`-fsSLo terraform.zip https://releases.hashicorp.com/terraform/${version}/terraform_${version}_linux_amd64.zip`]);
  const digest = createHash('sha256').update(readFileSync(first.file)).digest('hex');
  t.same(first.exported, { PLAN_SHA256: digest, PLAN_CHANGES: 'Plan: 3 to add, 0 to change, 0 to destroy.' }, 'what the approver is shown');
  t.equal(await parameter('/greeting'), undefined, 'a plan changes nothing');

  // Terraform itself takes a plan with bytes after its end.
  const altered = await apply(first.file, digest, '\n');
  t.equal(altered.end, 1, 'another plan than the approved one');
  t.match(altered.stdout, /\/plan: FAILED$/m);
  t.equal(await parameter('/greeting'), undefined, 'is not applied');
  t.not((await apply(first.file)).end, 0, 'nor is one that nobody approved');
  t.equal(await parameter('/greeting'), undefined);

  const applied = await apply(first.file, digest);
  t.equal(applied.end, 0, `${applied.stdout}${applied.stderr}`);
  t.match(applied.stdout, /Apply complete! Resources: 3 added/);
  t.match(await parameter('/greeting'), { Value: 'hello from ami-0123456789abcdef0' }, 'with the image of the channel');

  await image('ami-0fedcba9876543210');
  const second = await plan();
  t.match(second.exported, { PLAN_CHANGES: 'Plan: 0 to add, 2 to change, 0 to destroy.' }, second.stderr);
  const refresh = { AutoScalingGroupName: group, Preferences: { BakeTime: 172_800 } };
  await clients.autoScaling.send(new StartInstanceRefreshCommand(refresh));
  const refused = await apply(second.file, second.exported.PLAN_SHA256);
  t.not(refused.end, 0, 'while a refresh runs');
  t.match(refused.stderr, /an instance refresh runs: retry this stage after pinion wait has ended/);
  t.match(await parameter('/greeting'), { Value: 'hello from ami-0123456789abcdef0' }, 'nothing is applied');

  await clients.autoScaling.send(new CancelInstanceRefreshCommand({ AutoScalingGroupName: group }));
  const refreshes = () => clients.autoScaling.send(new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: group }));
  await eventually(refreshes, ({ InstanceRefreshes: found }) => found?.[0]?.Status === 'Cancelled');
  const retried = await apply(second.file, second.exported.PLAN_SHA256);
  t.equal(retried.end, 0, `${retried.stdout}${retried.stderr}`);
  t.match(await parameter('/greeting'), { Value: 'hello from ami-0fedcba9876543210' }, 'and after it');
});

t.test('image: bakes what it has built and checked, and writes its id where plan reads it', async (t) => {
  if (!needsImage(t)) return;
  const { base, downloads, environment, container, parameter, asked } = await openBuilds(t);
  const packed = join(base, 'packed');
  const bakes = join(base, 'bakes');
  mkdirSync(packed);
  // What an API would make of it: an image, named in the manifest.
  const packer = `echo "$@" >>${bakes}
[ "$1" = build ] || exit 0
echo "$PKR_VAR_deb $PKR_VAR_version $PKR_VAR_commit $PKR_VAR_region" >>${bakes}
echo '{"builds":[{"artifact_id":"${region}:ami-0123456789abcdef0"}]}' >"$PKR_VAR_manifest"`;
  const programs = { packer: script(join(packed, 'packer'), packer), plugin: script(join(packed, 'plugin'), '') };
  const project = {
    ...{ ...environment, PINION_CLI: 'pinion', PACKER_VERSION: '1.14.2' },
    PACKER_SHA256: zipOf(join(downloads, 'packer_1.14.2_linux_amd64.zip'), { packer: programs.packer }),
    AMAZON_PLUGIN_SHA256: zipOf(join(downloads, 'packer-plugin-amazon_1.8.2_linux_amd64.zip'), {
      'packer-plugin-amazon_v1.8.2_x5.0_linux_amd64': programs.plugin,
    }),
  };
  const bake = async (npm: string, more: Readonly<Record<string, string>> = {}) => {
    const { src, localBin } = container();
    mkdirSync(join(src, 'pinion'));
    writeFileSync(join(src, 'pinion/package.json'), '{ "version": "0.1.0" }');
    script(join(base, 'bin/npm'), npm);
    return { ...(await runBuildspec('image', { folder: src, localBin, environment: { ...project, ...more } })), src };
  };
  const builds = 'echo packer/deb/pinion.deb; echo 20.0 MB';

  t.not((await bake(builds, { AMAZON_PLUGIN_SHA256: project.PACKER_SHA256 })).end, 0, 'another plugin than the pinned one');
  t.notOk(existsSync(bakes), 'and nothing ran');
  t.not((await bake(`${builds}; exit 1`)).end, 0, 'a package that could not be built');
  t.notMatch(readFileSync(bakes, 'utf8'), /^build/m, 'bakes nothing');
  t.equal(await parameter('/pinion/image'), undefined);

  const baked = await bake(builds);
  t.equal(baked.end, 0, baked.stderr);
  t.same(baked.exported, { AMI_ID: 'ami-0123456789abcdef0', PINION_VERSION: '0.1.0' });
  t.match(await parameter('/pinion/image'), { Value: 'ami-0123456789abcdef0', DataType: 'aws:ec2:image', Version: 1 });
  t.match(baked.stdout, /^\/pinion\/image is ami-0123456789abcdef0, pinion 0\.1\.0$/m);
  t.ok(existsSync(join(baked.src, 'manifest.json')), 'its artifact is where CodeBuild looks for it');
  t.same(readFileSync(bakes, 'utf8').trim().split('\n').slice(-5), [
    'plugins install --path plugin/packer-plugin-amazon_v1.8.2_x5.0_linux_amd64 github.com/hashicorp/amazon',
    'fmt -check packer',
    'validate -only=amazon-ebs.trixie packer',
    'build -only=amazon-ebs.trixie packer',
    `packer/deb/pinion.deb 0.1.0 4f2c0de ${region}`,
  ]);
  t.match(asked().slice(-2), [/releases\.hashicorp\.com\/packer\/1\.14\.2\//, /releases\.hashicorp\.com\/packer-plugin-amazon\/1\.8\.2\//]);
});
