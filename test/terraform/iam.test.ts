import t, { type Test } from 'tap';
import { isDeniedForGood, isTrusted, passes, type Verdict, verdictOn } from './evaluate.ts';
import { app, bucket, iam, inputs, key, name } from './inputs.ts';
import { dangling } from './pipelines.ts';
import { account, type Policy, policiesOf, type Role, region } from './policies.ts';
import { type Row, requests } from './requests.ts';
import { needsTerraform } from './terraform.ts';

if (needsTerraform(t)) {
  // Two processors that do nothing else take 25 s.
  t.setTimeout(300_000);
  const { roles, endpoints, resources: written, projects, actions } = await policiesOf(inputs);
  /** As the evaluator can read them. */
  const resources = Object.fromEntries(Object.entries(written).map(([arn, policy]) => [arn, withoutEncryptionContext(policy)]));
  const readable = (role: Role): Role => ({
    ...role,
    identity: Object.fromEntries(Object.entries(role.identity).map(([called, policy]) => [called, withoutEncryptionContext(policy)])),
  });
  const roleOf = (called: string): Role => readable(roles[called] ?? missing(called));
  /** The policy of the bucket, key or role that a request is for; of a key that is none of ours, one that leaves its administration to IAM. */
  const policyOf = (resource: string): Policy | undefined =>
    resources[resource] ??
    resources[resource.split('/')[0] ?? ''] ??
    (resource.includes(':key/') ? resources[key('volumes')] : Object.values(roles).find(({ arn }) => arn === resource)?.trust);
  const verdict = (role: Role, action: string, resource: string, context = {}) =>
    verdictOn(role, { action, resource, context }, action === 'iam:PassRole' ? undefined : policyOf(resource));
  const documents = ['release', 'config/DATABASE_URL'].flatMap((what) =>
    ['shop/prod', 'shop/staging', 'blog/prod'].map((of) => `arn:aws:ssm:${region}:${account}:parameter/pinion/${of}/${what}`),
  );

  t.test('every role has rows, and a boundary', async (t) => {
    t.same(Object.keys(requests).sort(), Object.keys(roles).sort());
    for (const [called, role] of Object.entries(roles)) t.ok(role.boundary, called);
    const rows = Object.values(requests).flat();
    const count = (verdict: Verdict) => rows.filter(([expected]) => expected === verdict).length;
    t.ok(count('may') >= 60 && count('is not granted') + count('cannot') >= 60, `${rows.length} rows, ${count('may')} of them may`);
  });

  const judge = async (t: Test, called: string) => {
    const role = roleOf(called);
    for (const [expected, action, resource, context] of requests[called] ?? []) {
      const line = `${called} ${expected} ${action} ${resource}${context === undefined ? '' : ` ${JSON.stringify(context)}`}`;
      t.equal(await verdict(role, action, resource, context), expected, line);
    }
  };

  // Of these the table has examples alone: plan and apply ask what the provider asks, image what Packer asks.
  const examples = ['apply', 'image', 'plan'].map((called) => `pinion-${app}-${called}`);

  t.test('every grant is asked for by a row', async (t) => {
    for (const called of Object.keys(roles).filter((each) => !examples.includes(each))) {
      const { identity, boundary } = roleOf(called);
      const rows = requests[called] ?? [];
      t.same(unasked(Object.values(identity), rows), [], `${called} is granted what no row asks for`);
      const asked = new Set(rows.filter(([expected]) => expected === 'may').map(([, action]) => action));
      t.same(
        [...new Set(actionsAllowed([boundary]))].filter((action) => !asked.has(action)),
        [],
        `the boundary of ${called} has room for what no row asks for`,
      );
    }
    const [action, resource] = ['ec2:CreateTags', `arn:aws:ec2:${region}:${account}:instance/*`];
    const wider = {
      Effect: 'Allow',
      Action: [action, 'ec2:DeleteTags'],
      Resource: [resource, '*'],
      Condition: { StringEquals: { 'ec2:CreateAction': ['RunInstances', 'CreateVolume'] } },
    };
    t.same(unasked([{ Version: '', Statement: [wider] }], [['may', action, resource.replace('*', 'i-0'), { 'ec2:CreateAction': 'RunInstances' }]]), [
      `ec2:DeleteTags on ${resource}`,
      'ec2:DeleteTags on *',
      'ec2:CreateAction CreateVolume',
    ]);
  });

  t.test('what is granted for a context is not granted without a part of it', async (t) => {
    for (const called of Object.keys(roles).filter((each) => !examples.includes(each))) {
      for (const [expected, action, resource, context = {}] of requests[called] ?? []) {
        // Of several values none is one, and all: ForAllValues.
        const parts = expected === 'may' ? Object.entries(context).filter(([part]) => !part.endsWith(':FullRepositoryId')) : [];
        for (const [part] of parts) {
          const less = Object.fromEntries(parts.filter(([other]) => other !== part));
          t.not(await verdict(roleOf(called), action, resource, less), 'may', `${called} ${action} ${resource} without ${part}`);
        }
      }
    }
  });

  for (const called of Object.keys(requests).filter((role) => role !== `${name}-deploy`)) t.test(called, (t) => judge(t, called));
  t.test('F59: a stolen deploy role can neither write a release nor launch anything but the fleet’s', (t) => judge(t, `${name}-deploy`));

  t.test('nobody deletes a release or config, even with every right and no boundary', async (t) => {
    for (const [called, role] of Object.entries(roles)) {
      for (const resource of documents) {
        for (const action of ['ssm:DeleteParameter', 'ssm:DeleteParameters'])
          t.ok(await isDeniedForGood(role, { action, resource }), `${called} deletes ${resource} by ${action}`);
      }
    }
  });

  t.test('only plan and apply reach the state, and only Terraform its plans, whatever another role is given', async (t) => {
    const readers: Record<string, readonly string[]> = { state: ['plan', 'apply'], plans: ['plan', 'apply', 'pipeline-infrastructure'] };
    for (const [called, role] of Object.entries(roles)) {
      for (const [store, may] of Object.entries(readers)) {
        const resource = `${bucket(store)}/environment/prod.tfstate`;
        const isClosed = await isDeniedForGood(role, { action: 's3:GetObject', resource }, resources[bucket(store)]);
        t.equal(isClosed, !may.map((reader) => `pinion-${app}-${reader}`).includes(called), `${called} reads ${resource}`);
      }
      const decrypt = { action: 'kms:Decrypt', resource: key('state'), context: { 'kms:ViaService': `s3.${region}.amazonaws.com` } };
      t.equal(await isDeniedForGood(role, decrypt, resources[key('state')]), !/-(plan|apply)$/.test(called), `${called} decrypts the state`);
    }
  });

  t.test('F60: a role is taken by its own project or pipeline of this account alone', async (t) => {
    const codebuild = (project: string) => `arn:aws:codebuild:${region}:${account}:project/pinion-${app}-${project}`;
    const pipeline = (called: string) => `arn:aws:codepipeline:${region}:${account}:pinion-${app}-${called}`;
    const sources: Record<string, readonly (readonly [service: string, source: string])[]> = {
      [`${name}-deploy`]: [
        ['codebuild', codebuild('deploy-prod')],
        ['codebuild', codebuild('rollback-prod')],
      ],
      [`${name}-release`]: [['codebuild', codebuild('release-prod')]],
      ...Object.fromEntries(['apply', 'build', 'image', 'plan'].map((project) => [`pinion-${app}-${project}`, [['codebuild', codebuild(project)]]])),
      ...Object.fromEntries(['app', 'image', 'infrastructure'].map((called) => [`pinion-${app}-pipeline-${called}`, [['codepipeline', pipeline(called)]]])),
      [`pinion-${app}-propose`]: [['events', `arn:aws:events:${region}:${account}:rule/pinion-${app}-propose`]],
    };
    for (const [called, allowed] of Object.entries(sources)) {
      const { trust, arn } = roleOf(called);
      const by = (service: string, source: string, of = account) =>
        isTrusted(trust, arn, `${service}.amazonaws.com`, { 'aws:SourceArn': source, 'aws:SourceAccount': of });
      for (const [service, source] of allowed) {
        t.ok(await by(service, source), `${source} takes ${called}`);
        t.notOk(await by(service, source, '999999999999'), `${source} takes ${called} for another account`);
        t.notOk(await by(service, source.replace(/pinion-[a-z-]+$/, 'pinion-blog-deploy')), `another ${service} takes ${called}`);
      }
      t.notOk(await isTrusted(trust, arn, `${allowed[0]?.[0]}.amazonaws.com`), `nobody in particular takes ${called}`);
      t.notOk(await isTrusted(trust, arn, iam('role', 'administrator')), `a role takes ${called}`);
    }
    const { trust, arn } = roleOf(`${name}-runtime`);
    t.ok(await isTrusted(trust, arn, 'ec2.amazonaws.com'));
    t.notOk(await isTrusted(trust, arn, 'codebuild.amazonaws.com'));
    const ofApp = roleOf(`${name}-app`);
    t.ok(await isTrusted(ofApp.trust, ofApp.arn, iam('role', `${name}-runtime`)));
    t.notOk(await isTrusted(ofApp.trust, ofApp.arn, iam('role', `${name}-deploy`)));
    t.notOk(await isTrusted(ofApp.trust, ofApp.arn, 'ec2.amazonaws.com'));
  });

  t.test('no policy allows an action with a * in it without a reason', async (t) => {
    /** By role and action. */
    const reasons: readonly (readonly [role: RegExp, action: RegExp, reason: string])[] = [
      [
        /-(plan|apply|plan boundary)$/,
        /^(autoscaling|ec2|elasticloadbalancing):Describe\*$/,
        'each release of the provider asks for others; none holds a secret',
      ],
      [/-apply boundary$/, /^[a-z0-9-]+:\*$/, 'a boundary has room for services, and gives nothing by itself'],
    ];
    const wide = (called: string, policies: readonly (Policy | undefined)[]) =>
      actionsAllowed(policies).filter((action) => action.includes('*') && !reasons.some(([role, listed]) => role.test(called) && listed.test(action)));
    for (const [called, { identity, boundary }] of Object.entries(roles)) {
      t.same(wide(called, Object.values(identity)), [], called);
      t.same(wide(`${called} boundary`, [boundary]), [], `${called} boundary`);
    }
    t.same(wide(`${name}-runtime`, [{ Version: '', Statement: [{ Effect: 'Allow', Action: 'ssm:Get*' }] }]), ['ssm:Get*']);
    t.same(wide(`${name}-runtime`, [{ Version: '', Statement: [{ Effect: 'Allow', NotAction: 'ssm:GetParameter' }] }]), ['* but ssm:GetParameter']);
  });

  t.test('only the roles of the instances pass an endpoint', async (t) => {
    const [runtime, stranger] = [iam('role', `${name}-runtime`), iam('role', 'administrator')];
    const rows: readonly (readonly [service: string, action: string, resource: string])[] = [
      ['ssm', 'ssm:GetParameters', documents[3] ?? ''],
      ['s3', 's3:GetObjectVersion', `${bucket('artifacts')}/shop/0123.tar.zst`],
      ['sts', 'sts:AssumeRole', iam('role', `${name}-app`)],
    ];
    for (const [service, action, resource] of rows) {
      const endpoint = endpoints[service] ?? missing(service);
      t.ok(await passes(endpoint, runtime, { action, resource }), `${action} by the agent`);
      t.notOk(await passes(endpoint, stranger, { action, resource }), `${action} by another role`);
    }
    t.notOk(
      await passes(endpoints.s3 ?? missing('s3'), runtime, { action: 's3:PutObject', resource: 'arn:aws:s3:::elsewhere/secrets' }),
      's3:PutObject to another bucket',
    );
  });

  t.test('every role, project and variable that a pipeline or a project names exists', async (t) => {
    // Those of the other environment are named alike.
    const arns = Object.values(roles).flatMap(({ arn }) => [arn, arn.replace(`${name}-`, `pinion-${app}-staging-`)]);
    t.same(dangling(projects, actions, arns), []);
    t.ok(projects.length >= 9 && actions.length >= 12, `${projects.length} projects, ${actions.length} actions`);
    const [deploy] = projects.filter((project) => project.name === `${`pinion-${app}`}-deploy-prod`);
    t.ok(deploy);
    const starts = actions.filter(({ project }) => project === deploy?.name);
    const others = actions.filter((action) => !starts.includes(action));
    const ofNobody = dangling([{ ...(deploy ?? missing('deploy')), role: 'nobody', given: [] }], others, arns);
    t.match(ofNobody.join('\n'), /takes nobody.*starts pinion-shop-build, which is no project/s);
    t.match(
      dangling(
        projects.filter((project) => !project.name.endsWith('-plan')),
        actions,
        arns,
      ).join('\n'),
      /names #\{[\w-]+\.PLAN_SHA256\}/,
    );
    const bare = projects.map((project) => ({ ...project, given: [] }));
    t.match(dangling(bare, actions, arns).join('\n'), /-plan uses \$TERRAFORM_SHA256, which nobody gives/);
  });

  t.test('the keys of config and of volumes serve whom they are made for', async (t) => {
    const everything: Policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
    const other = (called: string, identity: Role['identity']): Role => ({ arn: iam('role', called), trust: everything, identity, boundary: undefined });
    const operator = other('operator', { everything });
    // Service-linked: its own policy has nothing of KMS.
    const autoScaling = other('aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling', {});
    const bySsm = { 'kms:ViaService': `ssm.${region}.amazonaws.com` };
    const forAws = { 'kms:GrantIsForAWSResource': 'true' };
    const rows: readonly (readonly [role: Role, ...Row])[] = [
      ...['Decrypt', 'Encrypt', 'GenerateDataKey'].flatMap((action): (readonly [Role, ...Row])[] => [
        [operator, 'may', `kms:${action}`, key('config'), bySsm],
        [operator, 'cannot', `kms:${action}`, key('config')],
        [operator, 'cannot', `kms:${action}`, key('volumes')],
      ]),
      // "Required key policy for use with encrypted volumes" (Amazon EC2 Auto Scaling User Guide)
      ...['Decrypt', 'DescribeKey', 'Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptFrom', 'ReEncryptTo'].map(
        (action): readonly [Role, ...Row] => [autoScaling, 'may', `kms:${action}`, key('volumes')],
      ),
      [autoScaling, 'may', 'kms:CreateGrant', key('volumes'), forAws],
      [autoScaling, 'cannot', 'kms:CreateGrant', key('volumes')],
      [operator, 'cannot', 'kms:CreateGrant', key('volumes'), forAws],
    ];
    for (const [role, expected, action, resource, context] of rows)
      t.equal(await verdict(role, action, resource, context), expected, `${role.arn} ${expected} ${action} ${resource} ${JSON.stringify(context)}`);
  });

  t.test('values of config are decrypted for their own parameter, by role and key', async (t) => {
    const own = `arn:aws:ssm:${region}:${account}:parameter/pinion/${app}/prod/config/*`;
    for (const policy of [roles[`${name}-runtime`]?.identity.runtime, written[key('config')]]) {
      const decrypting = (policy?.Statement ?? []).filter((statement) => JSON.stringify(statement).includes(`"ssm.${region}.amazonaws.com"`));
      t.match(decrypting, [{ Condition: { StringLike: { 'kms:EncryptionContext:PARAMETER_ARN': own } } }]);
    }
  });
}

type Statement = {
  readonly Effect: string;
  readonly Action?: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
};

/** Actions on resources, and values of conditions, that are allowed and that no row asks for. */
function unasked(policies: readonly Policy[], rows: readonly Row[]): string[] {
  const may = rows.filter(([expected]) => expected === 'may');
  const found = policies.flatMap(({ Statement }) =>
    (Statement as Statement[]).flatMap(({ Effect, Action = '*', Resource = '*', Condition = {} }) => {
      if (Effect !== 'Allow') return [];
      const asking = (action: string, resource: string) => may.filter((row) => row[1] === action && matches(resource, row[2]));
      const [actions, resources] = [[Action].flat(), [Resource].flat()];
      const contexts = actions.flatMap((action) => resources.flatMap((resource) => asking(action, resource).map((row) => row[3] ?? {})));
      const compared = Object.entries(Condition).filter(([test]) => test !== 'Null');
      const values = compared.flatMap(([, keys]) => Object.entries(keys).flatMap(([key, value]) => [value].flat().map((each) => [key, each] as const)));
      return [
        ...actions.flatMap((action) => resources.filter((resource) => asking(action, resource).length === 0).map((resource) => `${action} on ${resource}`)),
        ...values.filter(([key, value]) => !contexts.some((context) => matches(value, context[key] ?? ''))).map(([key, value]) => `${key} ${value}`),
      ];
    }),
  );
  return [...new Set(found)];
}

/** As IAM compares: * is any text. */
const matches = (pattern: string, text: string): boolean => new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`).test(text);

/** What is allowed of them, whatever the resource; all but some as a line of its own. */
function actionsAllowed(policies: readonly (Policy | undefined)[]): string[] {
  const statements = policies.flatMap((policy) => (policy?.Statement ?? []) as { Effect: string; Action?: string | string[]; NotAction?: string | string[] }[]);
  return statements.filter(({ Effect }) => Effect === 'Allow').flatMap(({ Action, NotAction }) => [Action ?? `* but ${[NotAction].flat().join()}`].flat());
}

function missing(what: string): never {
  throw new Error(`${what} is missing`);
}

/** The evaluator knows no key of an encryption context; these conditions are compared as they are written instead. */
function withoutEncryptionContext(policy: Policy): Policy {
  return JSON.parse(JSON.stringify(policy), (name, value) => {
    if (name !== 'Condition') return value;
    const kept = Object.entries(value as Record<string, object>).filter(
      ([, keys]) => !Object.keys(keys).some((key) => key.startsWith('kms:EncryptionContext:')),
    );
    return Object.fromEntries(kept);
  });
}
