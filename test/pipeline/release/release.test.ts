import { createHash } from 'node:crypto';
import { cpSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { GetParameterCommand, GetParameterHistoryCommand } from '@aws-sdk/client-ssm';
import t from 'tap';
import { firstProblem } from '../../../contract/document.ts';
import { recordSchema } from '../../../contract/release.ts';
import { build } from '../../../pipeline/artifact/build.ts';
import { publish } from '../../../pipeline/artifact/publish.ts';
import { setConfig } from '../../../pipeline/config/parameters.ts';
import { release } from '../../../pipeline/release/release.ts';
import { jsonError, startFaultingProxy } from '../../support/faulting-proxy.ts';
import { makeApp, temporaryFolder } from '../../support/pipeline-app.ts';
import { clientsOf, failureOf, startTestCloud } from '../../support/pipeline-cloud.ts';

const cloud = await startTestCloud(t);
const never = new AbortController().signal;
const names = ['GREETING', 'SECRET_KEY'];
const settings = `config = ["${names.join('", "')}"]\n`;
const set = (env: string, name: string, value: string, type: 'String' | 'SecureString' = 'String') =>
  setConfig(cloud.ssm, { app: 'shop', env }, names, { name, bytes: Buffer.from(value), type }, never);
const sample = makeApp(t, { settings });
await build(sample.appDir, { env: sample.env });
async function publishedApp(t: { teardown(fn: () => unknown): unknown }, env: string) {
  const appDir = temporaryFolder(t);
  cpSync(sample.appDir, appDir, { recursive: true });
  await cloud.addEnvironment(env);
  return { appDir, published: await publish(appDir, env, cloud) };
}
const records = async (env: string) =>
  (await cloud.ssm.send(new GetParameterHistoryCommand({ Name: `/pinion/shop/${env}/release` })).catch(() => undefined))?.Parameters ?? [];

t.test('a release names the object version and a version of every config name, and its number is that of its record', async (t) => {
  const { appDir, published } = await publishedApp(t, 'whole');
  await set('whole', 'GREETING', 'one');
  await set('whole', 'GREETING', 'two');
  await set('whole', 'SECRET_KEY', 'hush', 'SecureString');
  const first = await release(appDir, 'whole', cloud, { note: 'a note', now: new Date('2026-01-02T03:04:05Z') });
  t.equal(first.release, 1);
  const kept = (await cloud.ssm.send(new GetParameterCommand({ Name: '/pinion/shop/whole/release:1' }))).Parameter?.Value ?? '';
  t.equal(createHash('sha256').update(kept).digest('hex'), first.recordSha256);
  t.same(JSON.parse(kept), first.record);
  t.equal(firstProblem(recordSchema, JSON.parse(kept)), undefined);
  const { already, ...where } = published;
  t.match(first.record, {
    app: 'shop',
    env: 'whole',
    artifact: where,
    config: { GREETING: 2, SECRET_KEY: 1 },
    note: 'a note',
    createdAt: '2026-01-02T03:04:05.000Z',
    createdBy: userInfo().username,
  });
  t.notMatch(kept, /hush|"one"|"two"/);

  const second = await release(appDir, 'whole', cloud, { config: { GREETING: 1 }, createdBy: 'codebuild/x' });
  t.match(second, { release: 2, record: { config: { GREETING: 1, SECRET_KEY: 1 }, createdBy: 'codebuild/x' } });
});

t.test('everything it asks for must be there, and nothing is written when it is not', async (t) => {
  const app = makeApp(t, { settings });
  await failureOf('NOT_BUILT', release(app.appDir, 'asked', cloud));
  await build(app.appDir, { env: app.env });
  await failureOf('INFRASTRUCTURE_MISSING', release(app.appDir, 'asked', cloud));
  const bucket = await cloud.addEnvironment('asked');
  t.match((await failureOf('NOT_PUBLISHED', release(app.appDir, 'asked', cloud))).message, bucket);
  const { key, versionId } = await publish(app.appDir, 'asked', cloud);
  t.match((await failureOf('CONFIG_NOT_SET', release(app.appDir, 'asked', cloud))).message, /in asked: GREETING, SECRET_KEY$/, 'all of them at once');
  for (const name of names) await set('asked', name, 'x');
  t.match((await failureOf('CONFIG_VERSION_MISSING', release(app.appDir, 'asked', cloud, { config: { GREETING: 7 } }))).message, 'GREETING has no version 7');
  await failureOf('CONFIG_NAME_UNKNOWN', release(app.appDir, 'asked', cloud, { config: { NOPE: 1 } }));
  await cloud.addEnvironment('elsewhere');
  for (const name of names) await set('elsewhere', name, 'x');
  await failureOf('NOT_PUBLISHED', release(app.appDir, 'elsewhere', cloud));
  await cloud.s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId }));
  t.match((await failureOf('ARTIFACT_MISSING', release(app.appDir, 'asked', cloud))).message, `?versionId=${versionId}`);
  t.same(await records('asked'), []);

  writeFileSync(join(app.appDir, 'shop.py'), 'app = 2\n');
  await build(app.appDir, { env: app.env });
  await failureOf('NOT_PUBLISHED', release(app.appDir, 'asked', cloud));
});

t.test('F58: a failure between artifact and record leaves no release; doing it again makes release 1', async (t) => {
  const { appDir, published } = await publishedApp(t, 'half');
  for (const name of names) await set('half', name, 'x');
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const clients = clientsOf(t, proxy.url);
  proxy.fault({ target: 'AmazonSSM.PutParameter' }, jsonError('AccessDeniedException', 'no', 400));
  t.match((await failureOf('AWS_DENIED', release(appDir, 'half', clients))).message, 'AWS denied PutParameter on /pinion/shop/half/release');
  t.same(await records('half'), [], 'no deploy can name it');
  t.equal(
    proxy.requests.findIndex(({ target }) => target === 'AmazonSSM.PutParameter'),
    proxy.requests.length - 1,
    'the record is the last thing',
  );
  t.match(await publish(appDir, 'half', cloud), { versionId: published.versionId, already: true });
  t.match(await release(appDir, 'half', cloud), { release: 1, record: { artifact: { versionId: published.versionId } } });
});

t.test('F01: a record that is not kept as it was written is no release', async (t) => {
  const { appDir } = await publishedApp(t, 'changed');
  for (const name of names) await set('changed', name, 'x');
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const answer = JSON.stringify({ Parameter: { Name: '/pinion/shop/changed/release', Version: 1, Type: 'String', Value: '{"other":1}' } });
  proxy.fault({ target: 'AmazonSSM.GetParameter' }, ({ body }) =>
    body.includes('release:1') ? { do: 'answer', status: 200, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: answer } : undefined,
  );
  t.match((await failureOf('RECORD_NOT_KEPT', release(appDir, 'changed', clientsOf(t, proxy.url)))).message, /release:1 does not hold what was written/);
});

t.test('config is read by version and never decrypted', async (t) => {
  const { appDir } = await publishedApp(t, 'closed');
  for (const name of names) await set('closed', name, 'x', 'SecureString');
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  await release(appDir, 'closed', clientsOf(t, proxy.url));
  t.notOk(proxy.requests.some(({ body }) => body.includes('"WithDecryption":true')));
});
