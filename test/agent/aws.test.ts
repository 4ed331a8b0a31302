import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { GetObjectCommand, HeadBucketCommand } from '@aws-sdk/client-s3';
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import t from 'tap';
import { createClients, type ServiceCall, serviceFailure } from '../../agent/aws.ts';
import { phases } from '../../agent/boot/phases.ts';
import { readRelease } from '../../agent/boot/release.ts';
import { createImds } from '../../agent/imds.ts';
import { Failure } from '../../contract/causes.ts';
import type { BootEvent } from '../../contract/events.ts';
import { type Fault, jsonError, type SeenRequest, xmlError } from '../support/faulting-proxy.ts';
import { faultBefore, makeRecord, makeUserData, quickLimits, startCloud, startMetadata, useEnvironment } from '../support/pinned.ts';
import { needsNamespaces } from '../support/tool.ts';

const { signal } = new AbortController();
const cloud = await startCloud(t);
const recordText = JSON.stringify(makeRecord());
const userData = makeUserData(await cloud.putRecord(recordText), recordText);

/** As on a host: nothing in the environment, all of it from the metadata service. */
async function host(t: Parameters<typeof faultBefore>[0], credentials?: Parameters<typeof startMetadata>[1]) {
  const proxy = await faultBefore(t, cloud.endpoint);
  const { imds: fake, proxy: metadata } = await startMetadata(t, credentials);
  const none = { AWS_REGION: undefined, AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  useEnvironment(t, { ...none, AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url, AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' });
  const clients = createClients(createImds(metadata.url, quickLimits), quickLimits);
  t.teardown(async () => {
    clients.ssm.destroy();
    (await clients.s3()).destroy();
  });
  return { proxy, fake, metadata, clients };
}

t.test('on a host Region and credentials come from the metadata service, once for both clients', async (t) => {
  const { proxy, metadata, clients } = await host(t);
  await readRelease(clients.ssm, userData, signal);
  const s3 = await clients.s3();
  t.equal(s3, await clients.s3());
  await t.rejects(s3.send(new HeadBucketCommand({ Bucket: 'none' })));
  t.equal(proxy.requests.length, 2);
  for (const [index, service] of ['ssm', 's3'].entries()) {
    const headers = proxy.requests[index]?.headers;
    t.match(headers?.authorization, new RegExp(`Credential=AKIAINSTANCE/\\d+/eu-west-1/${service}/aws4_request`));
    t.equal(headers?.['x-amz-security-token'], 'session');
  }
  t.equal(proxy.requests[1]?.path.replace(/\/?(\?.*)?$/, ''), '/none', 'path style');
  t.equal(metadata.seen({ path: /security-credentials\/runtime/ }).length, 1);
  t.equal(metadata.seen({ path: /placement\/region/ }).length, 1);
  t.ok(metadata.seen({ method: 'GET' }).every((seen) => seen.headers['x-aws-ec2-metadata-token']));
});

t.test('no credentials yet is transient, never asked by version 1, and over when they are there', async (t) => {
  const { proxy, metadata, clients } = await host(t);
  for (const [match, fault] of [
    [{ path: /security-credentials/ }, { do: 'answer', status: 404 }],
    [{ path: /security-credentials\/runtime/ }, { do: 'answer', status: 200, body: '{"Code":"AssumeRoleUnauthorizedAccess"}' }],
    [{ path: /security-credentials/ }, { do: 'reset' }],
  ] as const) {
    const rule = metadata.fault(match, fault);
    await t.rejects(readRelease(clients.ssm, userData, signal), { code: 'CREDENTIALS_UNAVAILABLE', isTransient: true });
    rule.remove();
  }
  t.equal(proxy.requests.length, 0);
  await t.resolves(readRelease(clients.ssm, userData, signal));
  t.ok(metadata.seen({ method: 'GET' }).every((seen) => seen.headers['x-aws-ec2-metadata-token']));
});

t.test('F43: one token that never came does not end credentials for good', async (t) => {
  const { metadata, clients } = await host(t);
  await clients.ssm.config.region();
  const rule = metadata.fault({ method: 'PUT' }, { do: 'silence' });
  await t.rejects(readRelease(clients.ssm, userData, signal), { code: 'CREDENTIALS_UNAVAILABLE', isTransient: true });
  rule.remove();
  await t.resolves(readRelease(clients.ssm, userData, signal));
});

t.test('F43: without tokens there are no credentials and no version 1', async (t) => {
  const { metadata, clients } = await host(t);
  // The first token is that of the agent's own client, for the Region.
  const rule = metadata.fault({ method: 'PUT' }, () => (metadata.seen({ method: 'GET' }).length === 0 ? undefined : { do: 'answer', status: 403 }));
  await t.rejects(readRelease(clients.ssm, userData, signal), { code: 'CREDENTIALS_UNAVAILABLE', isTransient: true });
  t.ok(rule.used > 0);
  t.ok(metadata.seen({ method: 'GET' }).every((seen) => seen.headers['x-aws-ec2-metadata-token']));
});

t.test('F43: a Region that the metadata service does not give in time is IMDS_UNAVAILABLE, and asked again by the next call', async (t) => {
  const { metadata, clients } = await host(t);
  const rule = metadata.fault({ path: /placement\/region/ }, { do: 'answer', status: 500 });
  await t.rejects(readRelease(clients.ssm, userData, signal), { code: 'IMDS_UNAVAILABLE', isTransient: true });
  rule.remove();
  await t.resolves(readRelease(clients.ssm, userData, signal));
});

t.test('for a user data file they come from the environment; a Region that is not set is named', async (t) => {
  await faultBefore(t, cloud.endpoint);
  const read = () => readRelease(createClients(undefined, quickLimits).ssm, userData, signal);
  await t.resolves(read());
  useEnvironment(t, { AWS_REGION: undefined, AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' });
  await t.rejects(read(), { code: 'REGION_MISSING', isTransient: false });
});

t.test('an endpoint by name gets path-style requests', async (t) => {
  await faultBefore(t, cloud.endpoint);
  useEnvironment(t, { AWS_ENDPOINT_URL_S3: 'http://localhost:1' });
  const s3 = await createClients(undefined, quickLimits).s3();
  await t.rejects(s3.send(new HeadBucketCommand({ Bucket: 'bucket' })), { code: 'ECONNREFUSED' });
});

t.test('a warning of the SDK never reaches stderr', async (t) => {
  const { metadata, clients } = await host(t);
  const expired = { Code: 'Success', AccessKeyId: 'AKIAOLD', SecretAccessKey: 's', Token: 't', Expiration: '2020-01-01T00:00:00Z' };
  metadata.fault({ path: /security-credentials\/runtime/ }, { do: 'answer', status: 200, body: JSON.stringify(expired) });
  const warned = t.capture(console, 'warn');
  await clients.ssm.send(new GetParameterCommand({ Name: 'none' })).catch(() => {});
  t.same(warned(), []);
});

t.test('F45: a name that does not resolve at first is retried until it does', async (t) => {
  if (!needsNamespaces(t)) return;
  const folder = t.testdir({ hosts: '127.0.0.1 localhost\n', 'resolv.conf': 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' });
  const program = fileURLToPath(import.meta.resolve('../support/read-release.ts'));
  const limits = { ...quickLimits, retryBaseMs: 20, retryCapMs: 200 };
  const mounts = 'mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"';
  const child = spawn('unshare', ['-rm', 'sh', '-c', mounts, folder, process.execPath, program, JSON.stringify(userData), JSON.stringify(limits)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      AWS_ENDPOINT_URL: cloud.endpoint.replace('127.0.0.1', 'ssm.pinion.test'),
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  t.teardown(() => child.kill('SIGKILL'));
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(JSON.parse(line));
    // In place: the mount is of this very file.
    if (lines.filter(({ event }) => event === 'phase-retried').length === 3) appendFileSync(`${folder}/hosts`, '127.0.0.1 ssm.pinion.test\n');
  }
  t.equal(await gone, 0);
  const retries = lines.filter(({ event }) => event === 'phase-retried');
  t.ok(retries.length >= 3);
  for (const retry of retries) t.match(retry, { cause: 'SSM_UNAVAILABLE', sentence: /does not answer GetParameter: (ENOTFOUND|EAI_AGAIN)$/ });
  t.match(lines.at(-1), { number: userData.release });
  t.comment(`${retries.length} failed look-ups, the release read after ${lines.at(-1)?.ms} ms`);
});

/** The time a request was signed with, as its `x-amz-date` says it: `20261123T065832Z`. */
const signedAtMs = ({ headers }: SeenRequest) => Date.parse(String(headers['x-amz-date']).replace(/(....)(..)(..T..)(..)(..Z)/, '$1-$2-$3:$4:$5'));

/** A service whose clock is `shiftMs` ahead of this host's, and that refuses a request with `refusal` when its time is over five minutes off. */
const skewedService =
  (shiftMs: number, refusal: Fault & { do: 'answer' }) =>
  (seen: SeenRequest): Fault => {
    const nowMs = Date.now() + shiftMs;
    if (Math.abs(signedAtMs(seen) - nowMs) <= 300_000) return { do: 'date', shiftMs };
    return { ...refusal, headers: { ...refusal.headers, date: new Date(nowMs).toUTCString() } };
  };
const answer = (fault: Fault) => fault as Fault & { do: 'answer' };

for (const [off, shiftMs, says] of [
  ['ten minutes behind', 600_000, /is (599|600|601) s off from/],
  ['two years ahead', -63_072_000_000, /is 6307(1999|2000|2001) s off from/],
] as const) {
  t.test(`F10: a clock ${off} is found from the Date of the service, told once with the seconds, and signed around`, async (t) => {
    for (const name of ['RequestTimeTooSkewed', 'InvalidSignatureException', 'SignatureDoesNotMatch']) {
      const proxy = await faultBefore(t, cloud.endpoint);
      proxy.fault({ target: 'AmazonSSM.GetParameter' }, skewedService(shiftMs, answer(jsonError(name, 'Signature expired', 403))));
      proxy.fault({ path: /^\/none/ }, skewedService(shiftMs, answer(xmlError(name, 403))));
      const { ssm, s3 } = createClients(undefined, quickLimits);
      const events: BootEvent[] = [];
      const phase = phases(quickLimits, (event) => events.push(event), signal);
      const read = () => phase('release', (s) => readRelease(ssm, userData, s));
      t.equal((await read()).number, userData.release);
      const retries = events.filter(({ event }) => event === 'phase-retried');
      t.match(retries, [{ cause: 'CLOCK_SKEWED', sentence: says }], name);
      t.match(retries, [{ sentence: /from SSM$/ }]);
      await read();
      t.equal(proxy.requests.length, 3, 'the second read is signed with the time of the service at once');
      const get = async () => (await s3()).send(new GetObjectCommand({ Bucket: 'none', Key: 'key' }));
      await t.rejects(get(), { code: 'CLOCK_SKEWED', message: /from S3$/ });
      await t.rejects(get(), { name: 'NoSuchBucket' });
      (await s3()).destroy();
      ssm.destroy();
    }
  });
}

t.test('F10: credentials that seem to have ended two years ago are used', async (t) => {
  const expiration = new Date(Date.now() - 63_072_000_000);
  const { proxy, clients } = await host(t, () => ({ accessKeyId: 'AKIAINSTANCE', secretAccessKey: 'secret', sessionToken: 'session', expiration }));
  await t.resolves(readRelease(clients.ssm, userData, signal));
  t.match(proxy.requests[0]?.headers.authorization, /Credential=AKIAINSTANCE/);
});

t.test('F10: a request signed with the time of the service and refused all the same is not the clock', async (t) => {
  const proxy = await faultBefore(t, cloud.endpoint);
  const rule = proxy.fault({}, skewedService(600_000, answer(jsonError('InvalidSignatureException', 'Signature expired'))));
  const { ssm } = createClients(undefined, quickLimits);
  const read = () => readRelease(ssm, userData, signal);
  await t.rejects(read(), { code: 'CLOCK_SKEWED', isTransient: true });
  rule.remove();
  const date = () => new Date(Date.now() + 600_000).toUTCString();
  proxy.fault({}, () => ({ ...answer(jsonError('InvalidSignatureException', 'wrong secret')), headers: { date: date() } }));
  await t.rejects(read(), { code: 'SSM_UNAVAILABLE' });
  await t.rejects(read(), { code: 'SSM_UNAVAILABLE' });
});

t.test('what the SDK throws becomes one cause', async (t) => {
  const ssm: ServiceCall = { service: 'ssm', action: 'GetParameters', parameter: '/p' };
  const s3: ServiceCall = { service: 's3', action: 'GetObject', object: 's3://b/k' };
  const error = (name: string, status?: number, more: object = {}) =>
    Object.assign(new Error(`${name}: hunter2`), { name, ...(status && { $metadata: { httpStatusCode: status } }), ...more });
  for (const [thrown, ofSsm, ofS3] of [
    [error('ThrottlingException', 400), 'SSM_THROTTLED', 'S3_UNAVAILABLE'],
    [error('TooManyUpdates', 429), 'SSM_THROTTLED', 'S3_UNAVAILABLE'],
    [error('SlowDown', 503), 'SSM_THROTTLED', 'S3_UNAVAILABLE'],
    [error('InternalServerError', 500), 'SSM_UNAVAILABLE', 'S3_UNAVAILABLE'],
    [error('SyntaxError', undefined, { $response: { statusCode: 502 } }), 'SSM_UNAVAILABLE', 'S3_UNAVAILABLE'],
    [error('TimeoutError'), 'SSM_UNAVAILABLE', 'S3_UNAVAILABLE'],
    [error('Error', undefined, { code: 'ECONNREFUSED' }), 'SSM_UNAVAILABLE', 'S3_UNAVAILABLE'],
    [error('RequestTimeout', 400), 'SSM_UNAVAILABLE', 'S3_UNAVAILABLE'],
    [error('RequestTimeTooSkewed', 403), 'SSM_UNAVAILABLE', 'S3_UNAVAILABLE'],
    [error('AccessDeniedException', 400), 'SSM_DENIED', 'ARTIFACT_DENIED'],
    [error('AccessDenied', 403), 'SSM_DENIED', 'ARTIFACT_DENIED'],
    [error('KMS.DisabledException', 400), 'SSM_DENIED', 'ARTIFACT_DENIED'],
    [error('NoSuchKey', 404), 'SSM_UNAVAILABLE', 'ARTIFACT_MISSING'],
    [error('NoSuchVersion', 404), 'SSM_UNAVAILABLE', 'ARTIFACT_MISSING'],
    [error('ExpiredTokenException', 400), 'CREDENTIALS_UNAVAILABLE', 'CREDENTIALS_UNAVAILABLE'],
    [error('UnrecognizedClientException', 400), 'CREDENTIALS_UNAVAILABLE', 'CREDENTIALS_UNAVAILABLE'],
    [error('ValidationException', 400), 'INTERNAL_ERROR', 'INTERNAL_ERROR'],
  ] as const) {
    for (const [call, code] of [
      [ssm, ofSsm],
      [s3, ofS3],
    ] as const) {
      const failure = serviceFailure(thrown, call);
      t.match(failure, { code, cause: thrown }, `${thrown.name} of ${call.service}`);
      t.notMatch(failure.message, /hunter2/);
    }
  }
  const own = new Failure('REGION_MISSING', {});
  t.equal(serviceFailure(own, ssm), own);
});
