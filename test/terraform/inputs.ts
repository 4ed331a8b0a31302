// One app with two environments, everything that may be left out given: what the roots are told in the tests of their policies.
import { account, type Inputs, region } from './policies.ts';

export const app = 'shop';
export const env = 'prod';
export const name = `pinion-${app}-${env}`;

export const iam = (kind: 'role' | 'policy' | 'instance-profile', called: string): string => `arn:aws:iam::${account}:${kind}/${called}`;
export const bucket = (called: string): string => `arn:aws:s3:::pinion-${app}-${called}-${account}`;
export const key = (called: string): string => `arn:aws:kms:${region}:${account}:key/${called}`;
const ec2 = (resource: string): string => `arn:aws:ec2:${region}:${account}:${resource}`;

export const connection = `arn:aws:codeconnections:${region}:${account}:connection/00000000-0000-0000-0000-000000000000`;
export const group = `arn:aws:autoscaling:${region}:${account}:autoScalingGroup:00000000-0000-0000-0000-000000000000:autoScalingGroupName/${name}`;
export const template = ec2('launch-template/lt-0aaaaaaaaaaaaaaaa');
export const securityGroup = ec2('security-group/sg-0aaaaaaaaaaaaaaaa');
export const subnets = ['a', 'b'].map((zone) => ec2(`subnet/subnet-0${zone.repeat(16)}`));
const balancer = `arn:aws:elasticloadbalancing:${region}:${account}:loadbalancer/app/${name}/0000000000000000`;

const entries = (names: readonly string[], entry: (name: string) => readonly [string, { readonly [name: string]: unknown }]) =>
  Object.fromEntries(names.map(entry));
const role = (address: string, called: string) => ({ [address]: { id: called, arn: iam('role', called) } });

const appRoles = ['apply', 'build', 'image', 'pipeline-app', 'pipeline-image', 'pipeline-infrastructure', 'plan', 'propose'];
const applyPolicies = ['delivery', 'identity', 'look', 'network', 'serving', 'state', 'storage'];

const appRoot: Inputs = {
  variables: {
    region,
    account_id: account,
    app,
    environments: [{ name: 'staging', zone_id: 'Z0123456789ABCDEFGHIJ' }, { name: env }],
    repository: { connection_arn: connection, name: 'example/shop' },
    build_image: 'aws/codebuild/standard:7.0-26.07.29',
    terraform: { version: '1.11.4', sha256: 'a'.repeat(64) },
    state_key_arn: key('state'),
    bake: {
      vpc_id: 'vpc-0cccccccccccccccc',
      subnet_id: 'subnet-0cccccccccccccccc',
      security_group_id: 'sg-0cccccccccccccccc',
      kms_key_arn: key('images'),
      packer_version: '1.11.2',
      packer_sha256: 'a'.repeat(64),
      amazon_plugin_sha256: 'a'.repeat(64),
      agents: {
        cloudwatch_agent_version: '1.300057.0b1161',
        cloudwatch_agent_sha256: 'a'.repeat(64),
        ssm_agent_version: '3.3.2299.0',
        ssm_agent_sha256: 'a'.repeat(64),
      },
    },
  },
  named: {
    ...Object.assign({}, ...appRoles.map((called) => role(`aws_iam_role.this["${called}"]`, `pinion-${app}-${called}`))),
    ...entries(appRoles, (called) => [`aws_iam_policy.boundary["${called}"]`, { arn: iam('policy', `pinion-${app}-${called}-boundary`) }]),
    ...entries(applyPolicies, (called) => [`aws_iam_policy.apply["${called}"]`, { arn: iam('policy', `pinion-${app}-apply-${called}`) }]),
    ...entries(['artifacts', 'pipeline', 'plans'], (called) => [
      `aws_s3_bucket.this["${called}"]`,
      { id: `pinion-${app}-${called}-${account}`, arn: bucket(called) },
    ]),
    ...entries(['artifacts', 'pipeline', 'plans'], (called) => [`aws_kms_key.bucket["${called}"]`, { arn: key(called) }]),
    'aws_sns_topic.pipelines': { arn: `arn:aws:sns:${region}:${account}:pinion-${app}-pipelines` },
    'aws_codepipeline.infrastructure': { arn: `arn:aws:codepipeline:${region}:${account}:pinion-${app}-infrastructure` },
  },
};

const environment: Inputs = {
  variables: {
    region,
    account_id: account,
    app,
    env,
    vpc: { cidr: '10.30.0.0/16', availability_zones: [`${region}a`, `${region}b`] },
    egress: 'endpoints',
    balancer: { domain_name: 'shop.example.com', certificate_arn: `arn:aws:acm:${region}:${account}:certificate/00000000-0000-0000-0000-000000000000` },
    image: { id: 'ami-0123456789abcdef0' },
    fleet: { instance_type: 't3.medium', min: 3, max: 9 },
    artifacts: { bucket: `pinion-${app}-artifacts-${account}`, key_arn: key('artifacts') },
    release_from: 'staging',
    pipeline: { bucket: `pinion-${app}-pipeline-${account}`, key_arn: key('pipeline') },
    app_role: { statements: [{ actions: ['s3:GetObject', 's3:PutObject'], resources: ['arn:aws:s3:::shop-uploads/*'] }] },
  },
  named: {
    ...Object.assign(
      {},
      ...['runtime', 'release', 'deploy'].map((called) => role(`aws_iam_role.${called}`, `${name}-${called}`)),
      role('aws_iam_role.app[0]', `${name}-app`),
    ),
    ...entries(['runtime', 'release', 'deploy'], (called) => [`aws_iam_policy.boundary["${called}"]`, { arn: iam('policy', `${name}-${called}-boundary`) }]),
    'aws_iam_policy.app_boundary[0]': { arn: iam('policy', `${name}-app-boundary`) },
    'aws_iam_instance_profile.runtime': { arn: iam('instance-profile', `${name}-runtime`) },
    'aws_autoscaling_group.fleet': { arn: group },
    'aws_launch_template.fleet': { id: template.slice(template.indexOf('lt-')), arn: template },
    'aws_security_group.app': { arn: securityGroup },
    ...entries(['a', 'b'], (zone) => [`aws_subnet.app["${region}${zone}"]`, { id: `subnet-0${zone.repeat(16)}` }]),
    'aws_s3_bucket.requests': { id: `${name}-requests-${account}`, arn: bucket(`${env}-requests`) },
    'aws_kms_key.config': { arn: key('config') },
    'aws_kms_key.volumes': { arn: key('volumes') },
    ...entries(['agent', 'host'], (called) => [
      `aws_cloudwatch_log_group.instances["${called}"]`,
      { arn: `arn:aws:logs:${region}:${account}:log-group:/pinion/${app}/${env}/${called}` },
    ]),
    'aws_lb.app': { arn: balancer },
    'aws_lb_target_group.app': { arn: `arn:aws:elasticloadbalancing:${region}:${account}:targetgroup/${name}/0000000000000000` },
  },
};

const state: Inputs = {
  variables: { region, account_id: account, app, administrators: [iam('role', 'administrator')] },
  named: { 'aws_s3_bucket.state': { id: `pinion-${app}-state-${account}`, arn: bucket('state') }, 'aws_kms_key.state': { arn: key('state') } },
};

export const inputs: Readonly<Record<string, Inputs>> = { app: appRoot, environment, state };
