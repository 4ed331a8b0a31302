// What must hold in every root, as functions from its blocks to what is wrong in them. A reason for an exception stands in the list that has it.
import { type Block, list, type Named, nested, texts } from './hcl.ts';

const ofType = (blocks: readonly Named[], type: string, kind = 'resource'): Named[] => blocks.filter((block) => block.kind === kind && block.type === type);
const inner = (expression: unknown): string => String(expression).replace(/^\$\{(.*)\}$/s, '$1');
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

export const alarmFindings = (blocks: readonly Named[]): string[] =>
  ofType(blocks, 'aws_cloudwatch_metric_alarm')
    .filter(({ block }) => block.treat_missing_data !== 'notBreaching')
    .map(({ name, block }) => `${name} has treat_missing_data = ${block.treat_missing_data}`);
