// What must hold in every root, as functions from its blocks to what is wrong in them. A reason for an exception stands in the list that has it.
import { type Block, inner, list, type Named, nested, reachedFrom, texts, valuesAt } from './hcl.ts';

const ofType = (blocks: readonly Named[], type: string, kind = 'resource'): Named[] => blocks.filter((block) => block.kind === kind && block.type === type);
const ignoredBy = (block: Block): string =>
  nested(block, 'lifecycle')
    .flatMap((lifecycle) => list(lifecycle.ignore_changes))
    .map(inner)
    .join(', ');

/** The words by which a fleet would take another version or image than the one that was chosen. */
const floating = ['$Latest', '$Default', 'latest_version', 'default_version', 'resolve:ssm'];

/** A native rollback needs a numbered version and a literal image; which version runs is the deploys' alone. */
export function fleetFindings(blocks: readonly Named[]): string[] {
  const found: string[] = [];
  for (const { kind, name, block } of blocks) {
    if (kind === 'variable' || kind === 'check') continue;
    for (const [, text] of texts(block)) for (const word of floating) if (text.includes(word)) found.push(`${name} names ${word}`);
  }
  for (const { name, block } of ofType(blocks, 'aws_autoscaling_group')) {
    if (nested(block, 'instance_refresh').length > 0) found.push(`${name} has instance_refresh`);
    if (list(block.suspended_processes).join() !== 'Launch') found.push(`${name} suspends ${list(block.suspended_processes).join() || 'nothing'}`);
    if (block.wait_for_capacity_timeout !== '0') found.push(`${name} waits for ${block.wait_for_capacity_timeout}`);
    if (ignoredBy(block) !== 'launch_template[0].version, desired_capacity, suspended_processes') found.push(`${name} ignores ${ignoredBy(block)}`);
  }
  for (const { name, block } of ofType(blocks, 'aws_launch_template')) {
    if (ignoredBy(block) !== 'user_data, description') found.push(`${name} ignores ${ignoredBy(block)}`);
    if (block.update_default_version !== true) found.push(`${name} does not update its default version`);
  }
  return found;
}

/** Policies with a * in an action that they allow. What expressions make of `local` lists is seen in the policies themselves (iam.test.ts). */
const wideActions: Readonly<Record<string, string>> = {
  apply_boundary: 'a boundary has room for services, and gives nothing by itself; what apply has stands in its grants',
};

export function wildcardFindings(blocks: readonly Named[]): string[] {
  const found: string[] = [];
  for (const { name, block } of ofType(blocks, 'aws_iam_policy_document', 'data')) {
    for (const statement of nested(block, 'statement')) {
      if (statement.effect === 'Deny' || name in wideActions) continue;
      for (const action of list(statement.actions)) if (String(action).includes('*')) found.push(`${name} allows ${action}`);
      if (statement.not_actions !== undefined) found.push(`${name} allows all but ${list(statement.not_actions).join()}`);
    }
  }
  for (const { block } of blocks.filter(({ kind }) => kind === 'locals')) {
    for (const [path, text] of texts(block)) {
      const [name, ...rest] = path.split('.');
      if (rest.includes('actions') && text.includes('*')) found.push(`${name} allows ${text}`);
    }
  }
  return found;
}

/** Where 0.0.0.0/0 or ::/0 may stand. */
const everywhere: Readonly<Record<string, string>> = {
  'variable.balancer': 'who may send requests, unless balancer.ingress_cidrs says it',
  'aws_route.internet': 'the way of the load balancer and of NAT gateways',
  'aws_route.nat': 'the way out through NAT, chosen by egress = nat',
  'aws_vpc_security_group_egress_rule.app_by_nat': 'HTTPS out through NAT, chosen by egress = nat: AWS publishes no range that holds still',
};

export function everywhereFindings(blocks: readonly Named[]): string[] {
  return blocks.flatMap(({ kind, type, name, block }) =>
    [...texts(block)]
      .filter(([, text]) => text.includes('0.0.0.0/0') || text.includes('::/0'))
      .map(([path]) => (kind === 'resource' ? `${type}.${name}` : kind === 'locals' ? `locals.${path.split('.')[0]}` : `${kind}.${name}`))
      .filter((where) => !(where in everywhere)),
  );
}

type Companion = readonly [type: string, finding: (block: Block) => string[]];
const flat = (block: Block): Map<string, unknown> => new Map(leaves(block));
function* leaves(value: unknown, name = ''): Generator<[string, unknown]> {
  if (Array.isArray(value)) for (const each of value) yield* leaves(each, name);
  else if (typeof value === 'object' && value !== null) for (const [key, each] of Object.entries(value)) yield* leaves(each, key);
  else yield [name, value];
}

const companions: readonly Companion[] = [
  ['aws_s3_bucket_versioning', (block) => (flat(block).get('status') === 'Enabled' ? [] : ['is not versioned'])],
  [
    'aws_s3_bucket_server_side_encryption_configuration',
    (block) => (['aws:kms', 'AES256'].includes(String(flat(block).get('sse_algorithm'))) ? [] : ['is not encrypted']),
  ],
  [
    'aws_s3_bucket_public_access_block',
    (block) =>
      ['block_public_acls', 'block_public_policy', 'ignore_public_acls', 'restrict_public_buckets']
        .filter((setting) => block[setting] !== true)
        .map((setting) => `may be public: ${setting}`),
  ],
  ['aws_s3_bucket_ownership_controls', (block) => (flat(block).get('object_ownership') === 'BucketOwnerEnforced' ? [] : ['may have foreign owners'])],
  ['aws_s3_bucket_policy', () => []],
];

/** Every bucket has what a bucket needs: versions, encryption, no public access, one owner, and an answer by TLS alone. */
export function bucketFindings(blocks: readonly Named[]): string[] {
  return ofType(blocks, 'aws_s3_bucket').flatMap((bucket) => {
    const belongs = ({ block }: Named) => inner(block.bucket).startsWith(`aws_s3_bucket.${bucket.name}`);
    const each = bucket.block.for_each;
    const found = companions.flatMap(([type, finding]) => {
      const companion = ofType(blocks, type).find(belongs);
      if (companion === undefined || companion.block.for_each !== each || companion.block.count !== undefined) return [`has no ${type}`];
      return finding(companion.block);
    });
    const policy = inner(ofType(blocks, 'aws_s3_bucket_policy').find(belongs)?.block.policy);
    const document = ofType(blocks, 'aws_iam_policy_document', 'data').find(
      ({ name }) => policy.startsWith(`data.aws_iam_policy_document.${name}.`) || policy.startsWith(`data.aws_iam_policy_document.${name}[`),
    );
    if (!nested(document?.block ?? {}, 'statement').some(isTlsAlone)) found.push('answers without TLS');
    return found.map((finding) => `${bucket.name} ${finding}`);
  });
}

function isTlsAlone(statement: Block): boolean {
  const { effect, actions, resources } = statement;
  const [principals, condition] = [nested(statement, 'principals'), nested(statement, 'condition')];
  return (
    effect === 'Deny' &&
    list(actions).join() === 's3:*' &&
    list(resources).length === 2 &&
    principals.flatMap(({ identifiers }) => list(identifiers)).join() === '*' &&
    condition.length === 1 &&
    condition.every(({ test, variable, values }) => test === 'Bool' && variable === 'aws:SecureTransport' && list(values).join() === 'false')
  );
}

/** Trust of a service that names no source. */
const withoutSource: Readonly<Record<string, string>> = { runtime_trust: 'EC2 gives no source to compare when it takes the role of an instance profile' };

export function roleFindings(blocks: readonly Named[]): string[] {
  const found: string[] = [];
  for (const { name, block } of ofType(blocks, 'aws_iam_role')) {
    if (block.permissions_boundary === undefined) found.push(`${name} has no boundary`);
    if (block.managed_policy_arns !== undefined || nested(block, 'inline_policy').length > 0) found.push(`${name} has policies of its own`);
  }
  for (const { name, block } of ofType(blocks, 'aws_iam_role_policy_attachment')) {
    if (!inner(block.policy_arn).startsWith('aws_iam_policy.')) found.push(`${name} is given ${block.policy_arn}`);
  }
  for (const { name, block } of ofType(blocks, 'aws_iam_policy_document', 'data')) {
    for (const statement of nested(block, 'statement').filter(({ actions }) => list(actions).includes('sts:AssumeRole'))) {
      for (const { type, identifiers } of nested(statement, 'principals')) {
        if (type !== 'Service' || name in withoutSource) continue;
        const compared = nested(statement, 'condition').map(({ variable }) => variable);
        for (const key of ['aws:SourceArn', 'aws:SourceAccount'])
          if (!compared.includes(key)) found.push(`${name} trusts ${list(identifiers).join()} without ${key}`);
      }
    }
  }
  return found;
}

const secretName = /SECRET|PASSWORD|TOKEN|CREDENTIAL|(^|_)KEY($|_)/;

export function buildFindings(blocks: readonly Named[]): string[] {
  const found: string[] = [];
  for (const { name, block } of ofType(blocks, 'aws_codebuild_project')) {
    const environment = nested(block, 'environment');
    for (const { buildspec } of nested(block, 'source')) {
      if (buildspec === undefined) found.push(`${name} takes its buildspec from the branch`);
      else if (!inner(buildspec).startsWith('file(')) found.push(`${name} has a buildspec of the branch`);
    }
    for (const { privileged_mode, image } of environment) {
      if (privileged_mode !== undefined && privileged_mode !== false) found.push(`${name} is privileged`);
      if (image !== undefined && inner(image) !== 'var.build_image') found.push(`${name} has a floating image`);
    }
    for (const variable of environment.flatMap((each) => nested(each, 'environment_variable'))) {
      if (variable.type !== undefined && variable.type !== 'PLAINTEXT') found.push(`${name} has a variable of type ${variable.type}`);
      if (secretName.test(String(variable.name))) found.push(`${name} has the variable ${variable.name}`);
    }
    if (!nested(block, 'logs_config').some((logs) => nested(logs, 'cloudwatch_logs').some(({ group_name }) => group_name !== undefined)))
      found.push(`${name} keeps no log of its own`);
  }
  for (const { block } of blocks.filter(({ kind }) => kind === 'locals')) {
    for (const [local, value] of Object.entries(block).filter(([local]) => local.endsWith('_variables'))) {
      for (const [variable] of typeof value === 'object' ? leaves(value) : [])
        if (secretName.test(variable)) found.push(`${local} has the variable ${variable}`);
    }
  }
  return found;
}

type Setting = readonly [type: string, path: string, value: string | number | boolean, where?: readonly [path: string, value: string]];

/** What a kind of resource has wherever it stands; other words for the same are not taken. */
const settings: readonly Setting[] = [
  ['aws_kms_key', 'enable_key_rotation', true],
  ['aws_launch_template', 'block_device_mappings.ebs.encrypted', true],
  ['aws_launch_template', 'block_device_mappings.ebs.kms_key_id', 'aws_kms_key.volumes.arn'],
  ['aws_launch_template', 'metadata_options.http_endpoint', 'enabled'],
  ['aws_launch_template', 'metadata_options.http_tokens', 'required'],
  // What is one hop farther is a container or a proxy, and no agent.
  ['aws_launch_template', 'metadata_options.http_put_response_hop_limit', 1],
  ['aws_launch_template', 'metadata_options.instance_metadata_tags', 'disabled'],
  // Of EC2 alone an instance that cannot serve is healthy.
  ['aws_autoscaling_group', 'health_check_type', 'ELB'],
  // Nobody answered: such an instance never had a release.
  ['aws_autoscaling_lifecycle_hook', 'default_result', 'ABANDON', ['lifecycle_transition', 'autoscaling:EC2_INSTANCE_LAUNCHING']],
  ['aws_lb_target_group', 'port', 'local.traffic_port'],
  ['aws_lb_target_group', 'health_check.port', 'local.health_port'],
  ['aws_lb_target_group', 'health_check.path', 'local.health_path'],
  ['aws_lb_target_group', 'health_check.matcher', '200'],
  ['aws_vpc_endpoint', 'private_dns_enabled', true, ['vpc_endpoint_type', 'Interface']],
  ['aws_cloudwatch_metric_alarm', 'comparison_operator', 'GreaterThanOrEqualToThreshold'],
  // A refresh is refused while one of its alarms has too little data.
  ['aws_cloudwatch_metric_alarm', 'treat_missing_data', 'notBreaching'],
];

export const settingFindings = (blocks: readonly Named[]): string[] =>
  settings.flatMap(([type, path, value, where]) =>
    ofType(blocks, type)
      .filter(({ block }) => where === undefined || valuesAt(block, where[0]).includes(where[1]))
      .filter(({ block }) => valuesAt(block, path).length === 0 || valuesAt(block, path).some((each) => inner(each) !== String(value)))
      .map(({ name, block }) => `${type}.${name} has ${path} = ${valuesAt(block, path).join() || 'nothing'}`),
  );

/** Whom a security group lets in; the balancer's own callers are var.balancer.ingress_cidrs. */
const callers: Readonly<Record<string, string>> = {
  'aws_security_group.app': 'aws_security_group.balancer',
  'aws_security_group.endpoints': 'aws_security_group.app',
};
/** On which ports, as the rule's for_each and its ports say it. */
const openPorts: Readonly<Record<string, string>> = {
  'aws_security_group.app': 'local.image_ports each.value each.value',
  'aws_security_group.endpoints': ' 443 443',
};
const groupIn = (expression: unknown): string => /aws_security_group\.\w+/.exec(String(expression))?.[0] ?? String(expression);

/** Only the balancer reaches an instance, and only on the two ports of the image. */
export function ingressFindings(blocks: readonly Named[]): string[] {
  const found: string[] = [];
  for (const { name, block } of [...ofType(blocks, 'aws_security_group'), ...ofType(blocks, 'aws_default_security_group')])
    if (nested(block, 'ingress').length > 0) found.push(`${name} has ingress of its own`);
  for (const { name } of ofType(blocks, 'aws_security_group_rule')) found.push(`${name} is a rule of the old kind`);
  for (const { name, block } of ofType(blocks, 'aws_vpc_security_group_ingress_rule')) {
    const group = groupIn(block.security_group_id);
    const sources = ['cidr_ipv4', 'cidr_ipv6', 'prefix_list_id', 'referenced_security_group_id'].filter((source) => block[source] !== undefined);
    if (group === 'aws_security_group.balancer' && sources.join() === 'cidr_ipv4' && inner(block.cidr_ipv4) === 'each.value.cidr') continue;
    if (sources.join() !== 'referenced_security_group_id' || groupIn(block.referenced_security_group_id) !== callers[group])
      found.push(`${name} lets ${sources.map((source) => groupIn(block[source])).join()} into ${group}`);
    const ports = [block.for_each ?? '', block.from_port, block.to_port].map(inner).join(' ');
    if (ports !== openPorts[group]) found.push(`${name} opens ${ports.trim()} of ${group}`);
  }
  return found;
}

/** What an app and its deploys do without. */
const withoutDocument: Readonly<Record<string, string>> = {
  'aws_cloudwatch_dashboard.environment': 'for people',
  'aws_default_security_group.closed': 'nothing is in it',
  'aws_kms_alias.volumes': 'for people',
  'aws_s3_bucket_lifecycle_configuration.requests': 'no deploy reads a request log',
  'aws_s3_bucket_ownership_controls.requests': 'no deploy reads a request log',
  'aws_s3_bucket_server_side_encryption_configuration.requests': 'no deploy reads a request log',
  'aws_s3_bucket_versioning.requests': 'no deploy reads a request log',
};

/** What stands in the document exists, and so does all that it needs: Terraform writes it last. */
export function documentFindings(blocks: readonly Named[]): string[] {
  const [document] = ofType(blocks, 'aws_ssm_parameter').filter(({ name }) => name === 'infrastructure');
  if (document === undefined) return [];
  const reached = reachedFrom('aws_ssm_parameter.infrastructure', blocks);
  return blocks
    .filter(({ kind }) => kind === 'resource')
    .map(({ type, name }) => `${type}.${name}`)
    .filter((address) => !reached.has(address) && !(address in withoutDocument))
    .map((address) => `the document does not wait for ${address}`);
}

/** A widget of a metric that no group sends is empty. */
export function groupMetricFindings(blocks: readonly Named[]): string[] {
  const shown = blocks
    .filter(({ kind }) => kind === 'locals')
    .flatMap(({ block }) => [...texts(block)].flatMap(([, text]) => text.match(/\bGroup[A-Z]\w+/g) ?? []));
  return ofType(blocks, 'aws_autoscaling_group').flatMap(({ name, block }) =>
    [...new Set(shown)].filter((metric) => !list(block.enabled_metrics).includes(metric)).map((metric) => `${name} does not send ${metric}`),
  );
}
