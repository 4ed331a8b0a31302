import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateLaunchTemplateCommand,
  CreateSecurityGroupCommand,
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

t.test("a template's own tags are not in its data, and a rule that names a group keeps its description", async (t) => {
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
