import t from 'tap';
import type { Asked } from '../../local/gateway.ts';
import type { Policy, Role } from './policies.ts';
import { actionsOf, notGiven } from './provider-calls.ts';

const asked = (service: string, action: string | undefined, body = '', method = 'POST', path = '/'): Asked => ({ service, method, path, action, body });

t.test('a request is named as IAM names it, with what its tags and its roles ask besides', async (t) => {
  const rows: readonly (readonly [Asked, readonly string[]])[] = [
    [asked('sts', 'GetCallerIdentity'), []],
    [asked('monitoring', 'DescribeAlarms', 'Action=DescribeAlarms'), ['cloudwatch:DescribeAlarms']],
    [asked('s3', undefined, '', 'GET', '/bucket?lifecycle='), ['s3:GetLifecycleConfiguration']],
    [asked('s3', undefined, '', 'PUT', '/bucket'), ['s3:CreateBucket']],
    [asked('kms', 'CreateKey', '{"Tags":[{"TagKey":"App","TagValue":"shop"}]}'), ['kms:CreateKey', 'kms:TagResource']],
    [asked('kms', 'CreateKey', '{"Tags":[]}'), ['kms:CreateKey']],
    [asked('ec2', 'AuthorizeSecurityGroupIngress', 'GroupId=sg-1&TagSpecification.1.Tag.1.Key=App'), ['ec2:AuthorizeSecurityGroupIngress', 'ec2:CreateTags']],
    [asked('ec2', 'CreateLaunchTemplate', 'Action=x&LaunchTemplateData.TagSpecification.1.Tag.1.Key=App'), ['ec2:CreateLaunchTemplate']],
    [asked('codebuild', 'CreateProject', '{"tags":[{"key":"App","value":"shop"}]}'), ['codebuild:CreateProject', 'iam:PassRole']],
  ];
  for (const [request, actions] of rows) t.same(actionsOf([request, request]), actions);
  for (const [method, path] of [
    ['PUT', '/bucket?notification='],
    ['GET', '/bucket/key'],
  ] as const)
    t.throws(() => actionsOf([asked('s3', undefined, '', method, path)]), { message: `s3: no action of IAM is known for ${method} ${path}` });
  t.throws(() => actionsOf([asked('route53', undefined, '', 'GET', '/2013-04-01/hostedzone/Z1')]), { message: /route53: no action/ });
});

t.test('what no policy allows, what the boundary has no room for, and what is denied everywhere is not given', async (t) => {
  const policy = (...statements: readonly object[]): Policy => ({ Version: '', Statement: statements });
  const allow = (...actions: readonly string[]) => ({ Effect: 'Allow', Action: actions, Resource: '*' });
  const deny = (action: string, Resource: string, more = {}) => ({ Effect: 'Deny', Action: action, Resource, ...more });
  const denials = [deny('iam:CreatePolicy', '*'), deny('iam:CreateRole', '*', { Condition: {} }), deny('s3:PutBucketPolicy', 'arn:aws:s3:::state')];
  const identity = { own: policy(allow('ec2:Describe*', 'iam:CreatePolicy', 'iam:CreateRole', 's3:PutBucketPolicy', 'kms:CreateKey'), ...denials) };
  const role: Role = { arn: '', trust: policy(), identity, boundary: policy(allow('ec2:*', 'iam:*', 's3:*')) };
  t.same(notGiven(['ec2:DescribeVpcs', 'iam:CreateRole', 's3:PutBucketPolicy'], role), []);
  const missing = ['ec2:CreateVpc', 'iam:CreatePolicy', 'kms:CreateKey', 'ec2:describe'];
  t.same(notGiven(missing, role), missing);
});
