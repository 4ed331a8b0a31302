import { DescribeParametersCommand, GetParameterCommand } from '@aws-sdk/client-ssm';
import t from 'tap';
import { getConfig, readConfigVersions, setConfig } from '../../../pipeline/config/parameters.ts';
import { jsonError, startFaultingProxy } from '../../support/faulting-proxy.ts';
import { clientsOf, failureOf, startTestCloud } from '../../support/pipeline-cloud.ts';

const { ssm, endpoint } = await startTestCloud(t);
const never = new AbortController().signal;
const place = { app: 'shop', env: 'test' };
const names = ['GREETING', 'SECRET_KEY', 'OTHER'];
const set = (name: string, value: string, type: 'String' | 'SecureString' = 'String', client = ssm) =>
  setConfig(client, place, names, { name, bytes: Buffer.from(value), type }, never);
const get = (name: string, version?: number) => getConfig(ssm, place, names, { name, version }, never);

t.test('a value makes a version; an equal one makes none', async (t) => {
  t.same(await set('GREETING', 'one\n"$é'), { name: 'GREETING', version: 1, type: 'String', unchanged: false });
  t.same(await set('GREETING', 'one\n"$é'), { name: 'GREETING', version: 1, type: 'String', unchanged: true });
  t.same(await set('GREETING', 'two'), { name: 'GREETING', version: 2, type: 'String', unchanged: false });
  t.match(await get('GREETING'), { version: 2, value: 'two' });
  t.match(await get('GREETING', 1), { version: 1, value: 'one\n"$é' });
});

t.test('a secret is a SecureString, and stays one', async (t) => {
  t.match(await set('SECRET_KEY', 'hush', 'SecureString'), { version: 1, type: 'SecureString' });
  t.match(await set('SECRET_KEY', 'hush', 'SecureString'), { unchanged: true });
  const raw = await ssm.send(new GetParameterCommand({ Name: '/pinion/shop/test/config/SECRET_KEY' }));
  t.equal(raw.Parameter?.Type, 'SecureString');
  t.not(raw.Parameter?.Value, 'hush');
  const { Parameters: described } = await ssm.send(new DescribeParametersCommand({}));
  const keys = new Map(described?.map(({ Name, KeyId }) => [Name, KeyId]));
  t.equal(keys.get('/pinion/shop/test/config/SECRET_KEY'), 'alias/pinion/shop/test/config', "the environment's own key");
  t.equal(keys.get('/pinion/shop/test/config/GREETING'), undefined);
  t.match((await failureOf('CONFIG_TYPE_CHANGED', set('SECRET_KEY', 'x'))).message, 'SECRET_KEY is a SecureString; it cannot become a String');
  await failureOf('CONFIG_TYPE_CHANGED', set('GREETING', 'x', 'SecureString'));
  t.match(await get('SECRET_KEY'), { value: 'hush', type: 'SecureString' });
});

t.test('only names of the app, only values that can be delivered', async (t) => {
  await failureOf('CONFIG_NAME_UNKNOWN', set('NOPE', 'x'));
  await failureOf('CONFIG_NAME_UNKNOWN', get('NOPE'));
  const refused = await failureOf('CONFIG_VALUE_REFUSED', set('OTHER', 'hush\0hush'));
  t.notMatch(JSON.stringify(refused.report), /hush/);
  await failureOf('CONFIG_NOT_SET', get('OTHER'));
  await failureOf('CONFIG_VERSION_MISSING', get('GREETING', 9));
});

t.test('a key that Terraform has not made yet is named', async (t) => {
  const proxy = await startFaultingProxy(t, endpoint);
  proxy.fault({ target: 'AmazonSSM.PutParameter' }, jsonError('InvalidKeyId', 'Alias arn:aws:kms:eu-west-1:123456789012:alias/x is not found.'));
  const { message } = await failureOf('CONFIG_KEY_MISSING', set('OTHER', 'hush', 'SecureString', clientsOf(t, proxy.url).ssm));
  t.equal(message, 'the key alias/pinion/shop/test/config for OTHER does not exist, or is disabled');
});

t.test('a value is in no sentence, not even in one that Parameter Store quotes', async (t) => {
  const proxy = await startFaultingProxy(t, endpoint);
  proxy.fault({ target: 'AmazonSSM.PutParameter' }, jsonError('ValidationException', "value 'hush-hush' is refused"));
  const refused = await failureOf('AWS_REFUSED', set('OTHER', 'hush-hush', 'String', clientsOf(t, proxy.url).ssm));
  t.notMatch(JSON.stringify(refused.report), /hush/);
  t.match(refused.message, 'AWS refused PutParameter on /pinion/shop/test/config/OTHER: ValidationException');
});

t.test('versions of many names: ten a call, nothing decrypted, none missing', async (t) => {
  const proxy = await startFaultingProxy(t, endpoint);
  const many = Array.from({ length: 23 }, (_, at) => `MANY_${at}`);
  for (const name of many.slice(0, 22)) await setConfig(ssm, place, many, { name, bytes: Buffer.from('v'), type: 'String' }, never);
  await setConfig(ssm, place, many, { name: 'MANY_3', bytes: Buffer.from('w'), type: 'String' }, never);
  const found = await readConfigVersions(clientsOf(t, proxy.url).ssm, place, many, { MANY_3: 1, MANY_5: 7 }, never);
  t.equal(found.size, 21);
  t.match(found.get('MANY_3'), { name: 'MANY_3', version: 1, type: 'String', changedAt: /^\d{4}-/ });
  t.notOk(found.has('MANY_5') || found.has('MANY_22'), 'a version, a name that is not there');
  const calls = proxy.seen({ target: 'AmazonSSM.GetParameters' });
  t.equal(calls.length, 3);
  t.ok(calls.every(({ body }) => JSON.parse(body.toString()).WithDecryption === false));
  t.notMatch(JSON.stringify([...found.values()]), /"v"|"w"/);
});
