import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import t from 'tap';
import { ask, awsFailure, createClients } from '../../pipeline/aws.ts';
import { jsonError, startFaultingProxy, throttled, xmlError } from '../support/faulting-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { failureOf } from '../support/pipeline-cloud.ts';

const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
const getParameter = (ssm: SSMClient) => ask('GetParameter', '/p', () => ssm.send(new GetParameterCommand({ Name: '/p' })));
const getObject = (s3: S3Client) => ask('GetObject', 's3://b/k', () => s3.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' })));

t.test('what AWS answers becomes one cause with the action and the resource', async (t) => {
  const proxy = await startFaultingProxy(t, 'http://127.0.0.1:9');
  const options = { endpoint: proxy.url, region: 'eu-west-1', credentials, maxAttempts: 1 };
  const ssm = new SSMClient(options);
  const s3 = new S3Client({ ...options, forcePathStyle: true });
  t.teardown(() => [ssm.destroy(), s3.destroy()]);
  const meets = async (
    code: Parameters<typeof failureOf>[0],
    fault: Parameters<typeof proxy.fault>[1],
    call: () => Promise<unknown> = () => getParameter(ssm),
  ) => {
    const rule = proxy.fault({}, fault);
    const failure = await failureOf(code, call());
    rule.remove();
    return failure.message;
  };
  t.equal(await meets('AWS_DENIED', jsonError('AccessDeniedException', 'user x is not authorized')), 'AWS denied GetParameter on /p');
  const named =
    'User: arn:aws:sts::123456789012:assumed-role/shop-deploy/build-1 is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:eu-west-1:1:p';
  t.equal(
    await meets('AWS_DENIED', jsonError('AccessDeniedException', named)),
    'AWS denied GetParameter on /p to arn:aws:sts::123456789012:assumed-role/shop-deploy/build-1',
  );
  t.equal(await meets('AWS_DENIED', xmlError('AccessDenied', 403), () => getObject(s3)), 'AWS denied GetObject on s3://b/k');
  t.equal(await meets('BUCKET_MISSING', xmlError('NoSuchBucket', 404), () => getObject(s3)), 'the bucket b does not exist');
  t.match(await meets('AWS_REFUSED', jsonError('ValidationException', 'wrong')), /GetParameter on \/p: ValidationException: wrong/);
  t.match(await meets('AWS_UNAVAILABLE', throttled), /400 ThrottlingException/);
  t.match(await meets('AWS_UNAVAILABLE', jsonError('InternalServerError', '', 500)), /500 InternalServerError/);
  t.match(await meets('AWS_UNAVAILABLE', { do: 'answer', status: 500, body: '<html>' }), /500/, 'a body that is not JSON');
  t.match(await meets('AWS_UNAVAILABLE', { do: 'reset' }), /ECONNRESET/);
  for (const name of ['ExpiredTokenException', 'UnrecognizedClientException', 'InvalidClientTokenId'])
    t.match(await meets('CREDENTIALS_UNAVAILABLE', jsonError(name)), name);
  t.match(await meets('CREDENTIALS_UNAVAILABLE', xmlError('InvalidAccessKeyId', 403), () => getObject(s3)), 'InvalidAccessKeyId');
});

t.test('nothing listens, no Region, no credentials', async (t) => {
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  const closed = new SSMClient({ endpoint, region: 'eu-west-1', credentials, maxAttempts: 1 });
  t.match((await failureOf('AWS_UNAVAILABLE', getParameter(closed))).message, /ECONNREFUSED/);
  const nowhere = new SSMClient({ endpoint, credentials, region: () => Promise.reject<string>(new Error('Region is missing')), maxAttempts: 1 });
  await failureOf('REGION_MISSING', getParameter(nowhere));
  await failureOf('REGION_MISSING', getParameter(new SSMClient({ endpoint, credentials, region: async () => '', maxAttempts: 1 })));
});

t.test("what is not the SDK's stays what it is", async (t) => {
  for (const thrown of [new TypeError('a bug'), Object.assign(new Error('stop'), { name: 'AbortError' }), 'text'])
    t.equal(awsFailure(thrown, 'a', 'r'), thrown);
});

t.test('a bucket is in the path where an endpoint is configured, in the name where none is', async (t) => {
  t.equal((await createClients({ AWS_ENDPOINT_URL: 'http://localhost:1' })).s3.config.forcePathStyle, true);
  t.equal((await createClients({ AWS_ENDPOINT_URL_S3: 'http://localhost:1' })).s3.config.forcePathStyle, true);
  t.equal((await createClients({})).s3.config.forcePathStyle, false);
});
