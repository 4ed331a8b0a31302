import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { appVariables, credentialsPath } from '../../../agent/credentials/app-variables.ts';
import { keepToken, tokenName } from '../../../agent/credentials/token.ts';
import { serveCredentials, vendingServer } from '../../../agent/credentials/vend.ts';
import { createImds } from '../../../agent/imds.ts';
import { defaultLimits, type Limits } from '../../../agent/limits.ts';
import type { CauseReport } from '../../../contract/causes.ts';
import { boto3 } from '../../support/boto3.ts';
import { eventually } from '../../support/eventually.ts';
import { type Fault, jsonError } from '../../support/faulting-proxy.ts';
import { freePort } from '../../support/free-port.ts';
import { faultBefore, quickLimits, startCloud, startMetadata, useEnvironment } from '../../support/pinned.ts';

const cloud = await startCloud(t);
const roleArn = 'arn:aws:iam::123456789012:role/apps/shop-app';
const session = 'i-0123456789abcdef0';
const assume = { path: /^\/$/, method: 'POST' };

/** An error of a query service (STS) by code. */
const queryError = (code: string, status: number): Fault => ({
  do: 'answer',
  status,
  headers: { 'content-type': 'text/xml' },
  body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>hunter2</Message></Error><RequestId>fault</RequestId></ErrorResponse>`,
});

type Given = { readonly limits?: Partial<Limits>; readonly fault?: Fault; readonly port?: number; readonly imds?: ReturnType<typeof createImds> };

/** The server for a role of the app, with a proxy before STS, and what the boot would have written for the app. */
async function serve(t: Test, { limits, fault, port, imds }: Given = {}) {
  const proxy = await faultBefore(t, cloud.endpoint);
  const rule = fault && proxy.fault(assume, fault);
  const tokenFile = join(t.testdir(), tokenName);
  const told: (CauseReport | 'recovered')[] = [];
  const server = await serveCredentials({
    roleArn,
    session,
    port: port ?? (await freePort()),
    tokenFile,
    imds,
    // moto takes a second for its first answer of a service.
    limits: { ...quickLimits, requestTimeoutMs: 30_000, roleAnswerMs: 30_000, roleRetryBaseMs: 5, roleRetryCapMs: 20, ...limits },
    onFailure: (report) => told.push(report),
    onRecovered: () => told.push('recovered'),
  });
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${server.port}${credentialsPath}`;
  const token = keepToken(tokenFile);
  const ask = async (authorization: string | undefined = token, at = url) => {
    const response = await fetch(at, { headers: authorization === '' ? {} : { authorization } });
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  };
  const environment = { ...Object.fromEntries(appVariables({ region: 'eu-west-1', port: server.port, tokenFile }, [])), AWS_ENDPOINT_URL: proxy.url };
  const calls = () => proxy.seen(assume).filter(({ body }) => body.includes('Action=AssumeRole')).length;
  return { proxy, rule, server, url, ask, told, environment, calls, token, tokenFile };
}

t.test('boto3 as it is finds the role of the app and its Region, and no other identity', async (t) => {
  const { proxy, environment, calls } = await serve(t);
  const { value: arn } = await boto3(environment, 'client("sts").get_caller_identity()["Arn"]');
  t.equal(arn, `arn:aws:sts::123456789012:assumed-role/shop-app/${session}`);
  const put = 'client("ssm").put_parameter(Name="/own", Value="v", Type="String")["Version"], client("ssm").meta.region_name';
  t.same((await boto3(environment, put)).value, [1, 'eu-west-1']);
  const request = new URLSearchParams(proxy.requests[0]?.body.toString());
  t.match(Object.fromEntries(request), { Action: 'AssumeRole', RoleArn: roleArn, RoleSessionName: session, DurationSeconds: '3600' });
  t.match(proxy.requests[0]?.headers.authorization, /Credential=test\/\d+\/eu-west-1\/sts\/aws4_request/, 'the agent asks as itself');
  t.equal(calls(), 1, 'one call for both processes');
});

t.test('the SDK for JavaScript finds it too', async (t) => {
  const { environment } = await serve(t);
  const program = `import('@aws-sdk/client-sts').then(async ({ STSClient, GetCallerIdentityCommand }) =>
    console.log((await new STSClient({}).send(new GetCallerIdentityCommand({}))).Arn))`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], { env: environment });
  t.match(stdout, /assumed-role\/shop-app\//);
});

t.test('the answer has what the SDKs read, and says when it ends', async (t) => {
  const { ask } = await serve(t);
  const { status, body } = await ask();
  t.equal(status, 200);
  t.same(Object.keys(body), ['AccessKeyId', 'SecretAccessKey', 'Token', 'Expiration', 'RoleArn']);
  t.equal(body.RoleArn, roleArn);
  const leftMs = Date.parse(body.Expiration ?? '') - Date.now();
  t.ok(leftMs > 3_590_000 && leftMs <= 3_600_000, `${leftMs} ms`);
});

t.test('nobody gets anything without the token', async (t) => {
  const { ask, url, server, token } = await serve(t);
  for (const wrong of ['', 'x', '0'.repeat(64), `Bearer ${token}`, token.slice(1), token.toUpperCase()]) {
    t.match(await ask(wrong), { status: 401, body: { Code: 'Unauthorized' } }, wrong);
  }
  for (const path of ['', '/', '/latest/meta-data/iam/security-credentials/', '/credentials/x']) {
    t.equal((await ask(undefined, new URL(path, `http://127.0.0.1:${server.port}`).href)).status, 404, path);
  }
  const posted = await fetch(url, { method: 'POST' });
  t.equal(posted.status, 404);
  t.equal(posted.headers.get('connection'), 'close');
  await posted.text();
});

t.test('only loopback is answered, whatever the token', async (t) => {
  const role = { credentials: async () => ({ AccessKeyId: 'AKIA', SecretAccessKey: 's', Token: 't', Expiration: '', RoleArn: roleArn }) };
  const server = vendingServer('token', role);
  const ask = (remoteAddress: string) => server.inject({ url: credentialsPath, remoteAddress, headers: { authorization: 'token' } });
  t.equal((await ask('127.0.0.1')).statusCode, 200);
  for (const address of ['10.0.0.5', '169.254.169.254', '1.127.0.0', '::1']) {
    const { statusCode, body } = await ask(address);
    t.equal(statusCode, 403, address);
    t.notMatch(body, /AKIA/);
  }
  await t.rejects(fetch(`http://127.0.0.2:${(await serve(t)).server.port}`), 'it listens on 127.0.0.1 alone');
});

t.test('on a host the role is assumed with the credentials of the instance', async (t) => {
  const { imds, proxy: metadata } = await startMetadata(t);
  useEnvironment(t, { AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' });
  useEnvironment(t, { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url });
  const { ask, proxy } = await serve(t, { imds: createImds(imds.endpoint, quickLimits) });
  t.equal((await ask()).status, 200);
  t.match(proxy.requests[0]?.headers, { authorization: /Credential=AKIAINSTANCE\//, 'x-amz-security-token': 'session' });
});

t.test('all who ask at once share one call', async (t) => {
  const { ask, rule, calls } = await serve(t, { fault: { do: 'hold' } });
  const answers = Promise.all(Array.from({ length: 20 }, () => ask()));
  await eventually(calls, (count) => count > 0);
  rule?.release();
  const keys = new Set((await answers).map(({ body }) => body.AccessKeyId));
  t.equal(keys.size, 1);
  t.equal(calls(), 1);
});

t.test('credentials that end soon are renewed when they are asked for', async (t) => {
  const { ask, calls } = await serve(t, { limits: { roleRenewMs: 3_599_900 } });
  const first = (await ask()).body.AccessKeyId;
  const { body } = await eventually(ask, (answer) => answer.body.AccessKeyId !== first);
  t.match(body, { RoleArn: roleArn });
  t.equal(calls(), 2);
});

t.test('boto3 takes the new ones before the old ones end', async (t) => {
  // Less than the 15 minutes at which it begins to ask for others.
  const { environment } = await serve(t, { limits: { roleSessionMs: 800_000, roleRenewMs: 799_999 } });
  const expression = 'len({c.get_frozen_credentials().access_key for c in [s.get_credentials()] for _ in range(20) if not time.sleep(0.01)}) > 1';
  t.equal((await boto3(environment, expression)).value, true);
});

for (const [name, fault, says] of [
  ['throttles', queryError('Throttling', 400), '400 Throttling'],
  ['has an error', queryError('InternalFailure', 500), '500 InternalFailure'],
  ['ends connections', { do: 'reset' }, 'ECONNRESET'],
] as const) {
  t.test(`while STS ${name} the app keeps what is valid; then it is told why, and gets others when STS answers again`, async (t) => {
    const { ask, proxy, told } = await serve(t, { limits: { roleSessionMs: 1_500, roleRenewMs: 1_500 } });
    const first = (await ask()).body.AccessKeyId;
    const rule = proxy.fault(assume, fault);
    let kept = 0;
    const { body } = await eventually(ask, (answer) => {
      if (answer.body.AccessKeyId === first) kept++;
      return answer.status !== 200;
    });
    t.ok(kept > 0, 'what was valid was given meanwhile');
    t.match(body, { Code: 'APP_ROLE_UNAVAILABLE', Message: `${roleArn}: ${says}. Next: check` });
    t.match(told, [{ cause: 'APP_ROLE_UNAVAILABLE', sentence: new RegExp(`${roleArn}: ${says}$`) }], 'told once');
    t.equal(told.length, 1);
    t.ok(rule.used > 1, 'and tried again');
    rule.remove();
    const again = await eventually(ask, ({ status }) => status === 200);
    t.not(again.body.AccessKeyId, first);
    t.same(told.slice(1), ['recovered']);
  });
}

t.test('what is valid is given at once while STS fails, not after a wait for it', async (t) => {
  const { ask, proxy, told } = await serve(t, { limits: { roleRenewMs: 3_599_999, roleAnswerMs: 3_600_000 } });
  const first = (await ask()).body.AccessKeyId;
  const rule = proxy.fault(assume, queryError('Throttling', 400));
  await eventually(ask, () => told.length > 0);
  rule.remove();
  const held = proxy.fault(assume, { do: 'hold' });
  const { body } = await eventually(ask, () => held.used > 0);
  t.equal(body.AccessKeyId, first);
  t.equal((await ask()).body.AccessKeyId, first);
  held.release();
  const next = await eventually(ask, (answer) => answer.body.AccessKeyId !== first);
  await eventually(ask, (answer) => answer.body.AccessKeyId !== next.body.AccessKeyId);
  t.same(told.slice(1), ['recovered'], 'once');
});

t.test('APP_ROLE_DENIED: told at once, before the app asks, in the words of its own SDK, and over when the policy is right', async (t) => {
  const { ask, environment, rule, told, proxy } = await serve(t, { fault: queryError('AccessDenied', 403) });
  await eventually(
    () => told.length,
    (count) => count > 0,
  );
  t.match(told, [{ cause: 'APP_ROLE_DENIED', sentence: new RegExp(`${roleArn}: 403 AccessDenied$`), next: /trust policy/ }]);
  t.match(await ask(), { status: 503, body: { Code: 'APP_ROLE_DENIED' } });
  const { error } = await boto3(environment, 'client("sts").get_caller_identity()');
  t.match(error, /^CredentialRetrievalError: .*APP_ROLE_DENIED.*shop-app: 403 AccessDenied.*trust policy/);
  t.notMatch(error, /hunter2/, 'what STS says may quote anything');
  t.equal(told.length, 1);
  t.notOk(
    proxy.requests.some(({ body }) => body.includes('GetCallerIdentity')),
    'nothing was asked with other credentials',
  );
  rule?.remove();
  t.equal((await eventually(ask, ({ status }) => status === 200)).body.RoleArn, roleArn);
  t.equal(told.at(-1), 'recovered');
});

t.test('CLOCK_SKEWED: a clock that is off is told with its seconds, and the next request is signed with the time of STS', async (t) => {
  const ahead = { date: new Date(Date.now() + 600_000).toUTCString() };
  const expired = queryError('SignatureDoesNotMatch', 403) as Fault & { do: 'answer' };
  const { ask, told, proxy } = await serve(t, { fault: { ...expired, headers: { ...expired.headers, ...ahead } } });
  t.match(await ask(), { status: 503, body: { Code: 'CLOCK_SKEWED', Message: /from STS/ } });
  t.match(told[0], { cause: 'CLOCK_SKEWED' });
  await eventually(ask, () => proxy.requests.length > 1);
  const [first, second] = proxy.requests.map(({ headers }) => String(headers['x-amz-date']));
  t.ok(Number(second?.slice(9, 13)) !== Number(first?.slice(9, 13)), `${first}, then ${second}`);
});

t.test('a server that is closed while it asks tells of no failure', async (t) => {
  const { server, ask, told, calls } = await serve(t, { fault: { do: 'hold' } });
  const asked = ask().catch(() => {});
  await eventually(calls, (count) => count > 0);
  await server.close();
  await asked;
  t.same(told, []);
});

t.test('an answer of STS without credentials is no answer', async (t) => {
  const body = '<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>';
  const { ask } = await serve(t, { fault: { do: 'answer', status: 200, headers: { 'content-type': 'text/xml' }, body } });
  t.match(await ask(), { status: 503, body: { Code: 'APP_ROLE_UNAVAILABLE', Message: /an answer without credentials/ } });
});

t.test('without credentials of the agent there are none for the app', async (t) => {
  const { ask, told } = await serve(t, { fault: queryError('ExpiredToken', 403) });
  t.match(await ask(), { status: 503, body: { Code: 'CREDENTIALS_UNAVAILABLE' } });
  t.match(told, [{ cause: 'CREDENTIALS_UNAVAILABLE' }]);
});

t.test('a request does not wait for an STS that is silent: boto3 gives up after 2 s, and finds what has come meanwhile', async (t) => {
  const { ask, environment, rule, told } = await serve(t, { fault: { do: 'hold' }, limits: { roleAnswerMs: defaultLimits.roleAnswerMs } });
  const startedAt = performance.now();
  t.match(await ask(), { status: 503, body: { Code: 'APP_ROLE_UNAVAILABLE', Message: /no answer within 900 ms/ } });
  t.ok(performance.now() - startedAt < 1_900);
  const asking = boto3(environment, 'client("sts").get_caller_identity()["Arn"]');
  rule?.release();
  t.match((await asking).value, /assumed-role\/shop-app/);
  t.same(told, [], 'slow is not failed');
});

t.test('STS is asked no more often than the waits allow, however often the app asks', async (t) => {
  const { ask, calls } = await serve(t, { fault: jsonError('InternalFailure', '', 500), limits: { roleRetryBaseMs: 1_000_000, roleRetryCapMs: 1_000_000 } });
  await ask();
  for (let asked = 0; asked < 20; asked++) t.match((await ask()).status, 503);
  // A wait drawn from [0, 1000 s) is under a second once in a thousand times.
  t.ok(calls() <= 2, `${calls()} calls`);
});

t.test('CREDENTIALS_PORT_IN_USE names the holder', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const { port } = holder.address() as { port: number };
  await t.rejects(serve(t, { port }), {
    code: 'CREDENTIALS_PORT_IN_USE',
    isTransient: false,
    message: new RegExp(`127\\.0\\.0\\.1:${port}, is held by .+pid ${process.pid}`),
  });
});

t.test('the next server on this port serves the app that the last one served', async (t) => {
  const { server, environment, tokenFile } = await serve(t);
  await server.close();
  const options = { roleArn, session, port: server.port, tokenFile, imds: undefined, limits: quickLimits, onFailure() {}, onRecovered() {} };
  const next = await serveCredentials(options);
  t.teardown(() => next.close());
  t.match((await boto3(environment, 'client("sts").get_caller_identity()["Arn"]')).value, /assumed-role\/shop-app/);
});
