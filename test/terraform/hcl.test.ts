import { readFileSync } from 'node:fs';
import t from 'tap';
import { margins } from '../../contract/times.ts';
import { blocksOf, inner, type Named, sourcesOf } from './hcl.ts';
import {
  bucketFindings,
  buildFindings,
  documentFindings,
  everywhereFindings,
  fleetFindings,
  groupMetricFindings,
  ingressFindings,
  roleFindings,
  settingFindings,
  wildcardFindings,
} from './rules.ts';

const roots = ['app', 'environment', 'state'];
const blocks = Object.fromEntries(await Promise.all(roots.map(async (root) => [root, await blocksOf(sourcesOf(root))] as const)));

type Rule = (blocks: readonly Named[]) => string[];

/** Nothing is found in the project, and each wrong source gives the finding beside it. */
const holds = (name: string, rule: Rule, wrong: Readonly<Record<string, string>>) =>
  t.test(name, async (t) => {
    for (const root of roots) t.same(rule(blocks[root] ?? []), [], `terraform/${root}`);
    for (const [finding, source] of Object.entries(wrong)) t.match(rule(await blocksOf({ 'wrong.tf': source })).join('\n'), finding, source);
  });

t.test('all of each root is looked at', async (t) => {
  const count = (kind: string, type: string) =>
    roots.flatMap((root) => blocks[root] ?? []).filter((block) => block.kind === kind && block.type === type).length;
  t.equal(count('resource', 'aws_iam_role'), 5);
  t.equal(count('resource', 'aws_s3_bucket'), 3);
  t.equal(count('resource', 'aws_codebuild_project'), 2);
  t.equal(count('resource', 'aws_autoscaling_group'), 1);
});

const group = (lines: string) => `resource "aws_autoscaling_group" "fleet" {
  suspended_processes       = ["Launch"]
  wait_for_capacity_timeout = "0"
  ${lines}
}`;
const ignored = 'lifecycle {\n ignore_changes = [launch_template[0].version, desired_capacity, suspended_processes]\n }';

holds('a fleet launches a numbered version of a literal image, and only a deploy changes which', fleetFindings, {
  'fleet names $Latest': group(`launch_template {\n id = "lt-1"\n version = "$Latest"\n }\n ${ignored}`),
  'fleet names $Default': group(`launch_template {\n id = "lt-1"\n version = "$Default"\n }\n ${ignored}`),
  'fleet names latest_version': group(`launch_template {\n id = "lt-1"\n version = aws_launch_template.fleet.latest_version\n }\n ${ignored}`),
  'fleet names default_version':
    'resource "aws_autoscaling_group" "fleet" {\n mixed_instances_policy {\n launch_template {\n launch_template_specification {\n version = aws_launch_template.fleet.default_version\n }\n }\n }\n }',
  'fleet names resolve:ssm': 'resource "aws_launch_template" "fleet" {\n image_id = "resolve:ssm:/pinion/image"\n }',
  'fleet has instance_refresh': group(`instance_refresh {\n strategy = "Rolling"\n }\n ${ignored}`),
  'fleet ignores desired_capacity': group('lifecycle {\n ignore_changes = [desired_capacity]\n }'),
  'fleet ignores all': group('lifecycle {\n ignore_changes = all\n }'),
  'fleet suspends nothing': `resource "aws_autoscaling_group" "fleet" {\n wait_for_capacity_timeout = "0"\n ${ignored}\n }`,
  'fleet waits for 10m': `resource "aws_autoscaling_group" "fleet" {\n suspended_processes = ["Launch"]\n wait_for_capacity_timeout = "10m"\n ${ignored}\n }`,
  'template ignores user_data':
    'resource "aws_launch_template" "template" {\n update_default_version = true\n lifecycle {\n ignore_changes = [user_data]\n }\n }',
  'template does not update its default version':
    'resource "aws_launch_template" "template" {\n lifecycle {\n ignore_changes = [user_data, description]\n }\n }',
});

holds('an Allow has no * in an action without a reason', wildcardFindings, {
  'all allows *': 'data "aws_iam_policy_document" "all" {\n statement {\n actions = ["*"]\n resources = ["*"]\n }\n }',
  'all allows s3:*': 'data "aws_iam_policy_document" "all" {\n statement {\n effect = "Allow"\n actions = ["s3:*"]\n resources = ["*"]\n }\n }',
  'all allows s3:Get*':
    'data "aws_iam_policy_document" "all" {\n dynamic "statement" {\n for_each = [1]\n content {\n actions = ["s3:Get*"]\n resources = ["*"]\n }\n }\n }',
  'all allows ${[for service in': `data "aws_iam_policy_document" "all" {\n statement {\n actions = [for service in ["s3"] : "\${service}:*"]\n resources = ["*"]\n }\n }`,
  'grants allows s3:*': 'locals {\n grants = [{ sid = "All", actions = ["s3:*"], resources = ["*"] }]\n }',
  'all allows all but s3:GetObject': 'data "aws_iam_policy_document" "all" {\n statement {\n not_actions = ["s3:GetObject"]\n resources = ["*"]\n }\n }',
});

holds('everywhere is said where requests come in and where NAT goes out', everywhereFindings, {
  'aws_vpc_security_group_ingress_rule.ssh': 'resource "aws_vpc_security_group_ingress_rule" "ssh" {\n cidr_ipv4 = "0.0.0.0/0"\n }',
  'aws_vpc_security_group_egress_rule.six': 'resource "aws_vpc_security_group_egress_rule" "six" {\n cidr_ipv6 = "::/0"\n }',
  'aws_security_group.open': 'resource "aws_security_group" "open" {\n ingress {\n cidr_blocks = ["0.0.0.0/0"]\n }\n }',
  'locals.anywhere': 'locals {\n anywhere = "0.0.0.0/0"\n }',
});

const companions = (except: string) =>
  [
    ['aws_s3_bucket', 'bucket = "logs"'],
    ['aws_s3_bucket_versioning', 'bucket = aws_s3_bucket.logs.id\n versioning_configuration {\n status = "Enabled"\n }'],
    [
      'aws_s3_bucket_server_side_encryption_configuration',
      'bucket = aws_s3_bucket.logs.id\n rule {\n apply_server_side_encryption_by_default {\n sse_algorithm = "AES256"\n }\n }',
    ],
    [
      'aws_s3_bucket_public_access_block',
      'bucket = aws_s3_bucket.logs.id\n block_public_acls = true\n block_public_policy = true\n ignore_public_acls = true\n restrict_public_buckets = true',
    ],
    ['aws_s3_bucket_ownership_controls', 'bucket = aws_s3_bucket.logs.id\n rule {\n object_ownership = "BucketOwnerEnforced"\n }'],
    ['aws_s3_bucket_policy', 'bucket = aws_s3_bucket.logs.id\n policy = data.aws_iam_policy_document.logs.json'],
  ]
    .filter(([type]) => type !== except)
    .map(([type, lines]) => `resource "${type}" "logs" {\n ${lines}\n }\n`)
    .join('');
const tlsAlone = `data "aws_iam_policy_document" "logs" {
  statement {
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.logs.arn, "\${aws_s3_bucket.logs.arn}/*"]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}
`;
const bucket = (except: string) => companions(except) + tlsAlone;

holds('every bucket has its companions', bucketFindings, {
  'logs has no aws_s3_bucket_versioning': bucket('aws_s3_bucket_versioning'),
  'logs has no aws_s3_bucket_server_side_encryption_configuration': bucket('aws_s3_bucket_server_side_encryption_configuration'),
  'logs has no aws_s3_bucket_public_access_block': bucket('aws_s3_bucket_public_access_block'),
  'logs has no aws_s3_bucket_ownership_controls': bucket('aws_s3_bucket_ownership_controls'),
  'logs has no aws_s3_bucket_policy': bucket('aws_s3_bucket_policy'),
  'logs is not versioned': bucket('').replace('"Enabled"', '"Suspended"'),
  'logs is not encrypted': bucket('').replace('"AES256"', '"none"'),
  'logs may be public: restrict_public_buckets': bucket('').replace('restrict_public_buckets = true', 'restrict_public_buckets = false'),
  'logs may have foreign owners': bucket('').replace('"BucketOwnerEnforced"', '"ObjectWriter"'),
  'logs answers without TLS': bucket('').replace('"aws:SecureTransport"', '"aws:SecureTransit"'),
});

t.test('a bucket with its companions is left alone', async (t) => {
  t.same(bucketFindings(await blocksOf({ 'right.tf': bucket('') })), []);
});

holds('F60: every role has a boundary, and is taken by services of this account for one source', roleFindings, {
  'own has no boundary': 'resource "aws_iam_role" "own" {\n assume_role_policy = data.aws_iam_policy_document.trust.json\n }',
  'own has policies of its own':
    'resource "aws_iam_role" "own" {\n permissions_boundary = "arn"\n managed_policy_arns = ["arn:aws:iam::aws:policy/AdministratorAccess"]\n }',
  'own is given arn:aws:iam::aws:policy/AdministratorAccess':
    'resource "aws_iam_role_policy_attachment" "own" {\n policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess"\n }',
  'own_trust trusts codebuild.amazonaws.com without aws:SourceArn': trust('aws:SourceAccount'),
  'own_trust trusts codebuild.amazonaws.com without aws:SourceAccount': trust('aws:SourceArn'),
});

function trust(variable: string): string {
  return `data "aws_iam_policy_document" "own_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["codebuild.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "${variable}"
      values   = ["mine"]
    }
  }
}`;
}

holds('F60: a build has the buildspec that Terraform gave it, no privileges, and no secret in its variables', buildFindings, {
  'own takes its buildspec from the branch': 'resource "aws_codebuild_project" "own" {\n source {\n type = "CODEPIPELINE"\n }\n }',
  'own has a buildspec of the branch': 'resource "aws_codebuild_project" "own" {\n source {\n buildspec = "buildspec.yml"\n }\n }',
  'own is privileged': 'resource "aws_codebuild_project" "own" {\n environment {\n privileged_mode = true\n }\n }',
  'own has a floating image': 'resource "aws_codebuild_project" "own" {\n environment {\n image = "aws/codebuild/standard:7.0"\n }\n }',
  'own has a variable of type PARAMETER_STORE':
    'resource "aws_codebuild_project" "own" {\n environment {\n environment_variable {\n name = "A"\n type = "PARAMETER_STORE"\n value = "/a"\n }\n }\n }',
  'own has the variable AWS_SECRET_ACCESS_KEY':
    'resource "aws_codebuild_project" "own" {\n environment {\n environment_variable {\n name = "AWS_SECRET_ACCESS_KEY"\n value = "a"\n }\n }\n }',
  'own keeps no log of its own': 'resource "aws_codebuild_project" "own" {\n source {\n buildspec = file("x.yml")\n }\n }',
});

holds('what a kind of resource has wherever it stands', settingFindings, {
  'aws_cloudwatch_metric_alarm.own has treat_missing_data = missing': 'resource "aws_cloudwatch_metric_alarm" "own" {\n treat_missing_data = "missing"\n }',
  'aws_cloudwatch_metric_alarm.own has treat_missing_data = nothing': 'resource "aws_cloudwatch_metric_alarm" "own" {\n period = 60\n }',
  'aws_launch_template.own has block_device_mappings.ebs.encrypted = true,false':
    'resource "aws_launch_template" "own" {\n block_device_mappings {\n ebs {\n encrypted = true\n }\n }\n block_device_mappings {\n ebs {\n encrypted = false\n }\n }\n }',
  'aws_vpc_endpoint.own has private_dns_enabled = nothing': 'resource "aws_vpc_endpoint" "own" {\n vpc_endpoint_type = "Interface"\n }',
});

t.test('a setting of one kind of endpoint is asked of no other', async (t) => {
  t.same(settingFindings(await blocksOf({ 'right.tf': 'resource "aws_vpc_endpoint" "own" {\n vpc_endpoint_type = "Gateway"\n }' })), []);
});

const ingress = (lines: string) => `resource "aws_vpc_security_group_ingress_rule" "own" {
  security_group_id = aws_security_group.app.id
  ${lines}
}`;
const imagePorts = 'for_each = local.image_ports\n from_port = each.value\n to_port = each.value';

holds('only the balancer reaches an instance, and only on the two ports of the image', ingressFindings, {
  'own lets 10.0.0.0/8 into aws_security_group.app': ingress(`cidr_ipv4 = "10.0.0.0/8"\n ${imagePorts}`),
  'own lets pl-1,aws_security_group.balancer into aws_security_group.app': ingress(
    `prefix_list_id = "pl-1"\n referenced_security_group_id = aws_security_group.balancer.id\n ${imagePorts}`,
  ),
  'own lets aws_security_group.endpoints into aws_security_group.app': ingress(
    `referenced_security_group_id = one(aws_security_group.endpoints[*].id)\n ${imagePorts}`,
  ),
  'own opens 22 22 of aws_security_group.app': ingress('referenced_security_group_id = aws_security_group.balancer.id\n from_port = 22\n to_port = 22'),
  'own lets 10.0.0.0/8 into aws_security_group.balancer': ingress('cidr_ipv4 = "10.0.0.0/8"').replace('.app.', '.balancer.'),
  'app has ingress of its own': 'resource "aws_security_group" "app" {\n ingress {\n from_port = 22\n }\n }',
  'own is a rule of the old kind': 'resource "aws_security_group_rule" "own" {\n type = "ingress"\n }',
});

const documented = (lines: string) => `resource "aws_ssm_parameter" "infrastructure" {
  ${lines}
}
locals {
  url = aws_lb.app.dns_name
}
resource "aws_lb" "app" {
  security_groups = [aws_security_group.balancer.id]
}
resource "aws_security_group" "balancer" {}
resource "aws_lb_listener" "https" {}
`;

holds('the document of an environment waits for all that stands in it', documentFindings, {
  'the document does not wait for aws_lb_listener.https': documented('value = local.url'),
  'the document does not wait for aws_security_group.balancer': documented('depends_on = [aws_lb_listener.https]'),
});

t.test('a document may wait for a resource by another', async (t) => {
  t.same(documentFindings(await blocksOf({ 'right.tf': documented('value = local.url\n depends_on = [aws_lb_listener.https]') })), []);
});

holds('a group sends what the dashboard shows', groupMetricFindings, {
  'fleet does not send GroupMinSize':
    'locals {\n widgets = [for metric in ["GroupMaxSize", "GroupMinSize"] : metric]\n }\n resource "aws_autoscaling_group" "fleet" {\n enabled_metrics = ["GroupMaxSize"]\n }',
});

t.test('ports and path are those of the image', async (t) => {
  const locals = Object.assign({}, ...(blocks.environment ?? []).filter(({ kind }) => kind === 'locals').map(({ block }) => block));
  const socket = (called: string) =>
    Number(
      /^ListenStream=.*:(\d+)$/m.exec(readFileSync(new URL(`../../packer/deb/files/usr/lib/systemd/system/${called}.socket`, import.meta.url), 'utf8'))?.[1],
    );
  t.match(locals, { traffic_port: socket('pinion-app'), health_port: socket('pinion-health'), health_path: '/readyz' });
  t.same(
    Object.entries(locals.image_ports).map(([name, port]) => [name, inner(port)]),
    [
      ['health', 'local.health_port'],
      ['traffic', 'local.traffic_port'],
    ],
  );
});

t.test('an output that names a key or a topic is that', async (t) => {
  const outputs = roots.flatMap((root) =>
    (blocks[root] ?? [])
      .filter(({ kind, name }) => kind === 'output' && name.endsWith('_arn'))
      .map(({ name, block }) => [`${root} ${name}`, inner(block.value)]),
  );
  t.same(Object.fromEntries(outputs), {
    'app topic_arn': 'aws_sns_topic.pipelines.arn',
    'environment config_key_arn': 'aws_kms_key.config.arn',
    'state key_arn': 'aws_kms_key.state.arn',
  });
});

t.test('the margins of the inequalities are those of contract/times.ts', async (t) => {
  const local = blocks.environment?.find(({ kind, block }) => kind === 'locals' && 'margins' in block)?.block.margins;
  t.same(local, { warm_up_seconds: margins.warmUpMs / 1000, stop_seconds: margins.stopMs / 1000 });
});
