import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateLaunchTemplateCommand,
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  DescribeLaunchTemplatesCommand,
  DescribeLaunchTemplateVersionsCommand,
  DescribeSecurityGroupRulesCommand,
  EC2Client,
} from '@aws-sdk/client-ec2';
import {
  CreateBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { GetParametersCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import t from 'tap';
import { Failure } from '../../contract/causes.ts';
import { startMoto } from '../../local/moto.ts';

const { endpoint, stop } = await startMoto();
t.teardown(stop);
const settings = { endpoint, region: 'eu-west-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
const s3 = new S3Client({ ...settings, forcePathStyle: true });
const ssm = new SSMClient(settings);
t.teardown(() => {
  s3.destroy();
  ssm.destroy();
});
const base64Sha256 = (text: string) => createHash('sha256').update(text).digest('base64');

t.before(async () => {
  await s3.send(new CreateBucketCommand({ Bucket: 'artifacts', CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } }));
  await s3.send(new PutBucketVersioningCommand({ Bucket: 'artifacts', VersioningConfiguration: { Status: 'Enabled' } }));
});

t.test('a SHA256 checksum is kept with the object and given back', async (t) => {
  const ChecksumSHA256 = base64Sha256('hello');
  const put = await s3.send(new PutObjectCommand({ Bucket: 'artifacts', Key: 'kept', Body: 'hello', ChecksumSHA256 }));
  t.equal(put.ChecksumSHA256, ChecksumSHA256);
  const head = await s3.send(new HeadObjectCommand({ Bucket: 'artifacts', Key: 'kept', ChecksumMode: 'ENABLED' }));
  t.equal(head.ChecksumSHA256, ChecksumSHA256);
});

t.test('a body that is not what its checksum says is refused with BadDigest and leaves nothing', async (t) => {
  for (const checksum of [{ ChecksumSHA256: base64Sha256('other') }, { ChecksumCRC32: 'AAAAAA==' }]) {
    const put = s3.send(new PutObjectCommand({ Bucket: 'artifacts', Key: 'wrong', Body: 'hello', ...checksum }));
    await t.rejects(put, { name: 'BadDigest', $metadata: { httpStatusCode: 400 } });
  }
  await t.rejects(s3.send(new GetObjectCommand({ Bucket: 'artifacts', Key: 'wrong' })), { name: 'NoSuchKey' });
});

t.test('an object of the default checksum and one without any still work', async (t) => {
  await s3.send(new PutObjectCommand({ Bucket: 'artifacts', Key: 'plain', Body: Buffer.from('hello') }));
  t.equal(await (await s3.send(new GetObjectCommand({ Bucket: 'artifacts', Key: 'plain' }))).Body?.transformToString(), 'hello');
  const put = await fetch(`${endpoint}/artifacts/bare`, { method: 'PUT', body: 'hello' });
  t.equal(put.status, 200);
});

t.test('lifecycle rules come back as they were put', async (t) => {
  const Rules = [
    { ID: 'old', Status: 'Enabled' as const, Filter: { Prefix: '' }, NoncurrentVersionExpiration: { NoncurrentDays: 30, NewerNoncurrentVersions: 20 } },
  ];
  await s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket: 'artifacts', LifecycleConfiguration: { Rules } }));
  t.match((await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: 'artifacts' }))).Rules, Rules);
});

t.test('a template version inherits what it does not name from its SourceVersion', async (t) => {
  const ec2 = async (form: Record<string, string>) => {
    const authorization = 'AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/ec2/aws4_request';
    const answer = await fetch(endpoint, { method: 'POST', headers: { authorization }, body: new URLSearchParams({ Version: '2016-11-15', ...form }) });
    return `${answer.status} ${await answer.text()}`;
  };
  const data = (name: string) => `LaunchTemplateData.${name}`;
  const template = { LaunchTemplateName: 'web' };
  await ec2({ Action: 'CreateLaunchTemplate', ...template, [data('ImageId')]: 'ami-1', [data('InstanceType')]: 't3.micro' });
  const version = { Action: 'CreateLaunchTemplateVersion', ...template, [data('InstanceType')]: 't3.large' };
  const inherited = await ec2({ ...version, SourceVersion: '1' });
  t.match(inherited, /^200 .*<imageId>ami-1</s);
  t.match(inherited, '<instanceType>t3.large<');
  t.notMatch(await ec2(version), '<imageId>', 'without a SourceVersion it has only its own');
  t.match(await ec2({ ...version, SourceVersion: '9' }), /^400 .*InvalidLaunchTemplateId\.VersionNotFound/s);
  t.match(await ec2({ Action: 'DescribeLaunchTemplateVersions', ...template, 'LaunchTemplateVersion.1': '1' }), 't3.micro');
});

t.test("a template's own tags are not in its data and change, and a rule that names a group keeps its description", async (t) => {
  const ec2 = new EC2Client(settings);
  t.teardown(() => ec2.destroy());
  const tagged = (ResourceType: 'launch-template' | 'instance') => ({ ResourceType, Tags: [{ Key: 'app', Value: ResourceType }] });
  const { LaunchTemplate: made } = await ec2.send(
    new CreateLaunchTemplateCommand({
      ...{ LaunchTemplateName: 'tagged', TagSpecifications: [tagged('launch-template')] },
      LaunchTemplateData: { ImageId: 'ami-1', TagSpecifications: [tagged('instance')] },
    }),
  );
  t.match(made?.Tags, [{ Key: 'app', Value: 'launch-template' }]);
  const { LaunchTemplateVersions } = await ec2.send(new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId: made?.LaunchTemplateId, Versions: ['1'] }));
  t.same(LaunchTemplateVersions?.[0]?.LaunchTemplateData?.TagSpecifications, [tagged('instance')]);
  const id = made?.LaunchTemplateId ?? '';
  await ec2.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'later', Value: 'on' }] }));
  const { LaunchTemplates } = await ec2.send(new DescribeLaunchTemplatesCommand({ LaunchTemplateIds: [id] }));
  t.same(LaunchTemplates?.[0]?.Tags?.map(({ Key }) => Key).sort(), ['app', 'later']);
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: 'app', Description: 'app' }));
  const rule = {
    ...{ IpProtocol: 'tcp', FromPort: 80, ToPort: 80 },
    ...{ UserIdGroupPairs: [{ GroupId, Description: 'traffic' }], PrefixListIds: [{ PrefixListId: 'pl-1', Description: 'S3' }] },
  };
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [rule] }));
  const of = { Filters: [{ Name: 'group-id', Values: [GroupId ?? ''] }] };
  const { SecurityGroupRules: rules = [] } = await ec2.send(new DescribeSecurityGroupRulesCommand(of));
  t.same(
    rules
      .filter(({ IsEgress }) => !IsEgress)
      .map(({ Description }) => Description)
      .sort(),
    ['S3', 'traffic'],
  );
});

/** Asks a service that speaks JSON 1.1 and whose SDK is no dependency; gives the status before what it answers. */
async function ask(service: string, target: string, input: object): Promise<{ readonly status: number; readonly [name: string]: unknown }> {
  const headers = {
    authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/${service}/aws4_request`,
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': target,
  };
  const answer = await fetch(endpoint, { method: 'POST', headers, body: JSON.stringify(input) });
  const body = await answer.text();
  return { status: answer.status, ...(body === '' ? {} : JSON.parse(body)) };
}

t.test('a build project of a pipeline needs no location, keeps its key, is updated in part, and goes by its ARN', async (t) => {
  const build = (action: string, input: object) => ask('codebuild', `CodeBuild_20161006.${action}`, input);
  const environment = { type: 'LINUX_CONTAINER', computeType: 'BUILD_GENERAL1_SMALL', image: 'standard:1' };
  const project = {
    ...{ name: 'web', description: 'web', serviceRole: 'arn:aws:iam::123456789012:role/build', encryptionKey: 'alias/builds', environment },
    ...{ source: { type: 'CODEPIPELINE' }, artifacts: { type: 'CODEPIPELINE' } },
  };
  t.match(await build('CreateProject', project), { status: 200, project });
  t.match(await build('CreateProject', { ...project, name: 'other', source: { type: 'S3' } }), { status: 400, __type: 'InvalidInputException' });
  const changed = { name: 'web', environment: { ...environment, image: 'standard:2' } };
  t.match(await build('UpdateProject', changed), { status: 200, project: { ...project, ...changed } });
  t.match(await build('UpdateProject', { name: 'none' }), { status: 400, __type: 'ResourceNotFoundException' });
  t.match(await build('BatchGetProjects', { names: ['web'] }), { projects: [{ ...project, ...changed }] });
  await build('DeleteProject', { name: 'arn:aws:codebuild:eu-west-1:123456789012:project/web' });
  t.same((await build('ListProjects', {})).projects, []);
  await build('CreateProject', project);
  await build('DeleteProject', { name: 'web' });
  t.same((await build('ListProjects', {})).projects, []);
});

t.test('the times of a pipeline are numbers', async (t) => {
  const Statement = [{ Effect: 'Allow', Principal: { Service: 'codepipeline.amazonaws.com' }, Action: 'sts:AssumeRole' }];
  const form = { Action: 'CreateRole', Version: '2010-05-08', RoleName: 'pipeline', AssumeRolePolicyDocument: JSON.stringify({ Statement }) };
  const authorization = 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request';
  t.equal((await fetch(endpoint, { method: 'POST', headers: { authorization }, body: new URLSearchParams(form) })).status, 200);
  const stages = ['source', 'build'].map((name) => ({ name, actions: [] }));
  const pipeline = { name: 'web', roleArn: 'arn:aws:iam::123456789012:role/pipeline', executionMode: 'QUEUED', stages };
  t.match(await ask('codepipeline', 'CodePipeline_20150709.CreatePipeline', { pipeline }), { status: 200 });
  const secondsNow = Date.now() / 1_000;
  const { metadata, ...rest } = await ask('codepipeline', 'CodePipeline_20150709.GetPipeline', { name: 'web' });
  t.match(rest, { pipeline });
  for (const time of ['created', 'updated'] as const) {
    const seconds = (metadata as Record<string, unknown>)[time];
    t.ok(typeof seconds === 'number' && Math.abs(seconds - secondsNow) < 60, `${time} ${seconds}`);
  }
});

t.test('Parameter Store gives a value by exact version', async (t) => {
  for (const Value of ['one', 'two']) await ssm.send(new PutParameterCommand({ Name: '/a/b', Value, Type: 'SecureString', Overwrite: true }));
  const { Parameters } = await ssm.send(new GetParametersCommand({ Names: ['/a/b:1'], WithDecryption: true }));
  t.match(Parameters, [{ Value: 'one', Version: 1 }]);
});

t.test('it ends when the program that started it is killed', async () => {
  const url = new URL('../../local/moto.ts', import.meta.url).href;
  const source = `import { startMoto } from ${JSON.stringify(url)}; console.log((await startMoto()).endpoint); setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(parent.stdout, 'data');
  const socket = connect(Number(new URL(String(line)).port), '127.0.0.1').resume();
  await once(socket, 'connect');
  // Its end may be a reset.
  const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
  parent.kill('SIGKILL');
  await closed;
});

t.test('without its virtual environment it says how to make it', async (t) => {
  await t.rejects(startMoto({ python: '/nowhere/python' }), new Failure('LOCAL_PYTHON_MISSING', { interpreter: '/nowhere/python' }));
});
