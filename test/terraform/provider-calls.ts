/** What Terraform's provider asks, as IAM names it: the actions that the caller's own policies must allow. */
import type { Test } from 'tap';
import type { Asked } from '../../local/gateway.ts';
import { app, inputs } from './inputs.ts';
import { type Policy, policiesOf, type Role } from './policies.ts';

/** Of a bucket, by method and sub-resource (Amazon S3 API Reference, "Required permissions for Amazon S3 API operations"). */
const bucketActions: Readonly<Record<string, string>> = {
  'DELETE ': 'DeleteBucket',
  'DELETE lifecycle': 'PutLifecycleConfiguration',
  'DELETE ownershipControls': 'PutBucketOwnershipControls',
  'DELETE policy': 'DeleteBucketPolicy',
  'DELETE publicAccessBlock': 'PutBucketPublicAccessBlock',
  'DELETE encryption': 'PutEncryptionConfiguration',
  'DELETE tagging': 'PutBucketTagging',
  'GET accelerate': 'GetAccelerateConfiguration',
  'GET acl': 'GetBucketAcl',
  'GET cors': 'GetBucketCORS',
  'GET encryption': 'GetEncryptionConfiguration',
  'GET lifecycle': 'GetLifecycleConfiguration',
  'GET location': 'GetBucketLocation',
  'GET logging': 'GetBucketLogging',
  'GET object-lock': 'GetBucketObjectLockConfiguration',
  'GET ownershipControls': 'GetBucketOwnershipControls',
  'GET policy': 'GetBucketPolicy',
  'GET publicAccessBlock': 'GetBucketPublicAccessBlock',
  'GET replication': 'GetReplicationConfiguration',
  'GET requestPayment': 'GetBucketRequestPayment',
  'GET tagging': 'GetBucketTagging',
  'GET versioning': 'GetBucketVersioning',
  'GET website': 'GetBucketWebsite',
  'HEAD ': 'ListBucket',
  'PUT ': 'CreateBucket',
  'PUT encryption': 'PutEncryptionConfiguration',
  'PUT lifecycle': 'PutLifecycleConfiguration',
  'PUT ownershipControls': 'PutBucketOwnershipControls',
  'PUT policy': 'PutBucketPolicy',
  'PUT publicAccessBlock': 'PutBucketPublicAccessBlock',
  'PUT tagging': 'PutBucketTagging',
  'PUT versioning': 'PutBucketVersioning',
};

/** Where IAM has another name than the credential scope. */
const prefixes: Readonly<Record<string, string>> = { monitoring: 'cloudwatch' };

/** What is asked besides of whoever makes a thing with tags, by its request; CodeBuild asks nothing. */
const tagging: readonly (readonly [request: RegExp, action: string])[] = [
  [/^autoscaling:CreateAutoScalingGroup$/, 'autoscaling:CreateOrUpdateTags'],
  [/^cloudwatch:PutMetricAlarm$/, 'cloudwatch:TagResource'],
  [/^codepipeline:CreatePipeline$/, 'codepipeline:TagResource'],
  [/^ec2:(?!CreateTags$)/, 'ec2:CreateTags'],
  [/^elasticloadbalancing:Create/, 'elasticloadbalancing:AddTags'],
  [/^events:PutRule$/, 'events:TagResource'],
  [/^iam:CreateInstanceProfile$/, 'iam:TagInstanceProfile'],
  [/^iam:CreatePolicy$/, 'iam:TagPolicy'],
  [/^iam:CreateRole$/, 'iam:TagRole'],
  [/^kms:CreateKey$/, 'kms:TagResource'],
  [/^logs:CreateLogGroup$/, 'logs:TagResource'],
  [/^sns:CreateTopic$/, 'sns:TagResource'],
  [/^ssm:PutParameter$/, 'ssm:AddTagsToResource'],
];

/** What a service asks in the caller's name when it is given a role, or a template to launch from. */
const inTheCallersName: Readonly<Record<string, readonly string[]>> = {
  'autoscaling:CreateAutoScalingGroup': ['ec2:RunInstances', 'iam:PassRole'],
  'codebuild:CreateProject': ['iam:PassRole'],
  'codebuild:UpdateProject': ['iam:PassRole'],
  'codepipeline:CreatePipeline': ['iam:PassRole'],
  'codepipeline:UpdatePipeline': ['iam:PassRole'],
  'iam:AddRoleToInstanceProfile': ['iam:PassRole'],
};

/** Every caller may (STS API Reference). */
const everybodys = ['sts:GetCallerIdentity'];

/** The actions that the requests need, each once and sorted. Throws on a request that it has no name for. */
export const actionsOf = (asked: readonly Asked[]): string[] => [...new Set(asked.flatMap(actionsOfOne))].filter((each) => !everybodys.includes(each)).sort();

function actionsOfOne(asked: Asked): string[] {
  if (asked.service === 's3') return [`s3:${bucketActions[bucketRequest(asked)] ?? unknown(asked)}`];
  const action = `${prefixes[asked.service] ?? asked.service}:${asked.action ?? unknown(asked)}`;
  const tags = hasTags(asked.body) ? tagging.filter(([request]) => request.test(action)).map(([, named]) => named) : [];
  return [action, ...tags, ...(inTheCallersName[action] ?? [])];
}

function bucketRequest({ method, path }: Asked): string {
  const { pathname, searchParams } = new URL(path, 'http://s3');
  if (pathname.split('/').filter(Boolean).length !== 1) return path;
  return `${method} ${[...searchParams.keys()].filter((name) => name !== 'x-id').join('&')}`;
}

/** Tags of the thing itself: those of a launch template's instances are data. */
const hasTags = (body: string): boolean =>
  body.startsWith('{') ? /"[tT]ags":\s*[[{](?!\s*[\]}])/.test(body) : /(^|&)(Tags\.member|TagSpecification)\.1\./.test(body);

function unknown({ service, method, path }: Asked): never {
  throw new Error(`${service}: no action of IAM is known for ${method} ${path}`);
}

type Statement = {
  readonly Effect: string;
  readonly Action?: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly Condition?: object;
};

/** Which of the actions a role is not given by name, or is denied whatever the resource. Which resources, and on what conditions, is iam.test.ts's. */
export function notGiven(actions: readonly string[], { identity, boundary }: Role): string[] {
  const statements = (policies: readonly (Policy | undefined)[]) => policies.flatMap((policy) => (policy?.Statement ?? []) as readonly Statement[]);
  const named = (effect: string, policies: readonly (Policy | undefined)[], isWhole = (_: Statement): boolean => true) =>
    statements(policies)
      .filter((statement) => statement.Effect === effect && isWhole(statement))
      .flatMap(({ Action = [] }) => [Action].flat() as string[]);
  const isWhole = ({ Resource, Condition }: Statement) => [Resource].flat().includes('*') && Condition === undefined;
  const [allowed, within, denied] = [
    named('Allow', Object.values(identity)),
    named('Allow', [boundary]),
    named('Deny', [...Object.values(identity), boundary], isWhole),
  ];
  return actions.filter((action) => !covers(allowed, action) || !covers(within, action) || covers(denied, action));
}

/** Only * at the end, which is all that the policies have. */
const covers = (patterns: readonly string[], action: string): boolean =>
  patterns.some((pattern) => (pattern.endsWith('*') ? action.startsWith(pattern.slice(0, -1)) : pattern === action));

/** The two roles that run Terraform, as terraform/app writes them. */
export async function terraformRoles(): Promise<{ readonly plan: Role; readonly apply: Role }> {
  const { roles } = await policiesOf({ app: inputs.app ?? missing('app') });
  const of = (called: string) => roles[`pinion-${app}-${called}`] ?? missing(called);
  return { plan: of('plan'), apply: of('apply') };
}

function missing(what: string): never {
  throw new Error(`${what} is missing`);
}

/** Of what was asked nothing is missing to the role but what an administrator does; that is missing indeed. */
export function mayAll(t: Test, role: Role, asked: readonly Asked[], administrators: readonly string[] = []): void {
  const actions = actionsOf(asked);
  t.ok(actions.length > 0, `${role.arn} asked for ${actions.length} actions, in ${asked.length} requests`);
  t.same(notGiven(actions, role), administrators, 'which it has, less what an administrator does');
}
