import { fromInstanceMetadata } from '@smithy/credential-provider-imds';
import t, { type Test } from 'tap';
import { startImds } from '../../local/imds.ts';

const ttl = 'X-aws-ec2-metadata-token-ttl-seconds';
const inAnHour = new Date('2030-01-02T04:04:05.678Z');
let keys = 0;

async function start(t: Test, userData?: Buffer) {
  const credentials = () => ({ accessKeyId: `AKIA${++keys}`, secretAccessKey: 'secret', sessionToken: 'session', expiration: inAnHour });
  const imds = await startImds({ instance: 'i-0123456789abcdef0', address: '127.0.1.5', region: 'eu-west-1', roleName: 'runtime', credentials, userData });
  t.teardown(() => imds.stop());
  const ask = (method: string, path: string, headers: Record<string, string> = {}) => fetch(imds.endpoint + path, { method, headers });
  const newToken = async (seconds = '60') => (await ask('PUT', '/latest/api/token', { [ttl]: seconds })).text();
  const token = await newToken();
  const get = async (path: string, withToken = token) => {
    const answer = await ask('GET', path, { 'X-aws-ec2-metadata-token': withToken });
    return answer.status === 200 ? await answer.text() : answer.status;
  };
  return { imds, ask, newToken, get };
}

t.test('F43: a token needs its time to live, from one second to six hours, and no forwarder', async (t) => {
  const { ask } = await start(t);
  for (const seconds of ['1', '21600']) {
    const answer = await ask('PUT', '/latest/api/token', { [ttl]: seconds });
    t.equal(answer.status, 200);
    t.equal(answer.headers.get(ttl), seconds);
    t.match(await answer.text(), /^[\w-]{56}$/);
  }
  for (const seconds of ['0', '21601', '-1', '1.5', 'x', '']) t.equal((await ask('PUT', '/latest/api/token', { [ttl]: seconds })).status, 400, seconds);
  t.equal((await ask('PUT', '/latest/api/token')).status, 400);
  t.equal((await ask('PUT', '/latest/api/token', { [ttl]: '60', 'X-Forwarded-For': '10.0.0.1' })).status, 403);
});

t.test('F43: nothing is given without a token that is valid now', async (t) => {
  const { imds, ask, newToken, get } = await start(t);
  const path = '/latest/meta-data/instance-id';
  t.equal((await ask('GET', path)).status, 401);
  t.equal(await get(path, 'made-up'), 401);
  t.equal(await get(path), 'i-0123456789abcdef0');
  const short = await newToken('1');
  while ((await get(path, short)) !== 401);
  t.pass('it ended after its time');
  imds.expireTokens();
  t.equal(await get(path), 401);
  t.equal(await get(path, await newToken()), 'i-0123456789abcdef0');
  t.match(imds.requests.at(-1), { method: 'GET', path, status: 200 });
});

t.test('it answers the paths of its specification', async (t) => {
  const { get, ask } = await start(t);
  t.equal(await get('/latest/meta-data/local-ipv4'), '127.0.1.5');
  t.equal(await get('/2021-01-03/meta-data/placement/region'), 'eu-west-1');
  t.equal(await get('/latest/meta-data/placement/availability-zone'), 'eu-west-1a');
  t.equal(await get('/latest/meta-data/placement'), 'availability-zone\nregion');
  t.equal(await get('/latest/meta-data/'), 'autoscaling/\niam/\ninstance-id\nlocal-ipv4\nplacement/');
  t.equal(await get('/latest/meta-data/autoscaling/target-lifecycle-state'), 'InService');
  t.match(JSON.parse(String(await get('/latest/dynamic/instance-identity/document'))), { instanceId: 'i-0123456789abcdef0', region: 'eu-west-1' });
  t.match(JSON.parse(String(await get('/latest/meta-data/iam/info'))), { InstanceProfileArn: /instance-profile\/runtime$/ });
  for (const path of ['/latest/nothing', '/latest/meta-data/spot/instance-action', '/latest/meta-data/tags/instance', '//latest/meta-data/instance-id']) {
    t.equal(await get(path), 404, path);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'HEAD']) t.equal((await ask(method, '/latest/meta-data/instance-id')).status, 405, method);
});

t.test('user data is byte-exact, and absent until there is some', async (t) => {
  const bytes = Buffer.from([0, 0xff, 0x0a, 0xc3, 0x28]);
  const { imds, ask, newToken } = await start(t);
  const read = async () => ask('GET', '/latest/user-data', { 'X-aws-ec2-metadata-token': await newToken() });
  t.equal((await read()).status, 404);
  imds.setUserData(bytes);
  t.same(Buffer.from(await (await read()).arrayBuffer()), bytes);
  imds.set('/latest/meta-data/spot/instance-action', '{}');
  t.equal(await (await start(t, bytes)).get('/latest/meta-data/spot/instance-action'), 404, 'instances share nothing');
});

t.test('the SDK takes fresh credentials from it each time', async (t) => {
  const { imds } = await start(t);
  const before = process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT;
  t.teardown(() => {
    if (before === undefined) delete process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT;
    else process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = before;
  });
  process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = imds.endpoint;
  const provider = fromInstanceMetadata({ ec2MetadataV1Disabled: true });
  const [first, second] = [await provider(), await provider()];
  t.match(first, { secretAccessKey: 'secret', sessionToken: 'session', expiration: new Date('2030-01-02T04:04:05Z') });
  t.not(first.accessKeyId, second.accessKeyId);
  t.same(
    imds.requests.slice(1).map(({ status }) => status),
    Array(6).fill(200),
  );
});
