import { appendFileSync, cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectVersionsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import t from 'tap';
import { artifactKey } from '../../../contract/names.ts';
import { build } from '../../../pipeline/artifact/build.ts';
import { publish } from '../../../pipeline/artifact/publish.ts';
import { startFaultingProxy, xmlError } from '../../support/faulting-proxy.ts';
import { makeApp, temporaryFolder } from '../../support/pipeline-app.ts';
import { clientsOf, failureOf, startTestCloud } from '../../support/pipeline-cloud.ts';

const cloud = await startTestCloud(t);
const app = makeApp(t);
const built = await build(app.appDir, { env: app.env });
const key = artifactKey('shop', built.sha256);
const published = () => JSON.parse(readFileSync(join(app.appDir, '.pinion/build/published.json'), 'utf8'));
const versions = async (Bucket: string) => (await cloud.s3.send(new ListObjectVersionsCommand({ Bucket }))).Versions ?? [];

t.test('the artifact goes under its digest with its checksum, and again is harmless', async (t) => {
  const bucket = await cloud.addEnvironment('once');
  const said: unknown[] = [];
  const first = await publish(app.appDir, 'once', cloud, { say: (event) => said.push(event) });
  t.match(first, { bucket, key, sha256: built.sha256, sizeBytes: built.sizeBytes, already: false });
  t.match(said, [{ event: 'publishing', object: `s3://${bucket}/${key}` }]);
  const { already, ...where } = first;
  t.same(published(), where);
  t.same(await publish(app.appDir, 'once', cloud), { ...first, already: true });
  t.equal((await versions(bucket)).length, 1);
});

t.test('eight at once: all succeed, with one version', async (t) => {
  const bucket = await cloud.addEnvironment('parallel');
  const all = await Promise.all(Array.from({ length: 8 }, () => publish(app.appDir, 'parallel', cloud)));
  t.equal(new Set(all.map(({ versionId }) => versionId)).size, 1);
  t.equal(all.filter(({ already }) => !already).length, 1);
  t.equal((await versions(bucket)).length, 1);
});

t.test('F58: other bytes under the same key are never overwritten', async (t) => {
  const bucket = await cloud.addEnvironment('conflict');
  await cloud.s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: 'something else' }));
  t.match((await failureOf('ARTIFACT_CONFLICT', publish(app.appDir, 'conflict', cloud))).message, `s3://${bucket}/${key} exists with other bytes`);
  t.equal((await versions(bucket)).length, 1);
  const sameSize = await cloud.addEnvironment('samesize');
  await cloud.s3.send(new PutObjectCommand({ Bucket: sameSize, Key: key, Body: Buffer.alloc(built.sizeBytes), ChecksumAlgorithm: 'SHA256' }));
  await failureOf('ARTIFACT_CONFLICT', publish(app.appDir, 'samesize', cloud));
});

t.test('F06: an artifact that was altered after the build is not published', async (t) => {
  const appDir = temporaryFolder(t);
  cpSync(app.appDir, appDir, { recursive: true });
  const bucket = await cloud.addEnvironment('altered');
  appendFileSync(join(appDir, '.pinion/build/artifact.tar.zst'), 'x');
  await failureOf('ARTIFACT_ALTERED', publish(appDir, 'altered', cloud));
  t.same(await versions(bucket), []);
  rmSync(join(appDir, '.pinion/build/artifact.tar.zst'));
  await failureOf('NOT_BUILT', publish(appDir, 'altered', cloud));
});

t.test('F07: a bucket that keeps no versions is refused', async (t) => {
  const bucket = await cloud.addEnvironment('unversioned', 'Suspended');
  t.match((await failureOf('BUCKET_UNVERSIONED', publish(app.appDir, 'unversioned', cloud))).message, new RegExp(`s3://${bucket}/`));
});

t.test('the infrastructure document is asked for no more than the bucket', async (t) => {
  t.match((await failureOf('INFRASTRUCTURE_MISSING', publish(app.appDir, 'nowhere', cloud))).message, '/pinion/shop/nowhere/infrastructure does not exist');
  const put = (Value: string) => cloud.ssm.send(new PutParameterCommand({ Name: '/pinion/shop/wrong/infrastructure', Type: 'String', Value, Overwrite: true }));
  await put('{"schemaVersion":1}');
  t.match((await failureOf('INFRASTRUCTURE_INVALID', publish(app.appDir, 'wrong', cloud))).message, /artifactBucket/);
  await put('{"schemaVersion":1,"artifactBucket":"x"}');
  t.match((await failureOf('INFRASTRUCTURE_INVALID', publish(app.appDir, 'wrong', cloud))).message, /at \/artifactBucket/);
  await put('nonsense');
  t.match((await failureOf('INFRASTRUCTURE_INVALID', publish(app.appDir, 'wrong', cloud))).message, /not JSON/);
  await put('{"schemaVersion":1,"artifactBucket":"not-there"}');
  t.match((await failureOf('BUCKET_MISSING', publish(app.appDir, 'wrong', cloud))).message, 'the bucket not-there does not exist');
});

t.test('what passes is tried again: 409, 503, a reset in the middle', async (t) => {
  const bucket = await cloud.addEnvironment('faults');
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const put = { method: 'PUT', path: /artifacts-faults/ };
  proxy.fault({ ...put, nth: 1 }, xmlError('ConditionalRequestConflict', 409));
  proxy.fault({ ...put, nth: 2 }, xmlError('SlowDown', 503));
  proxy.fault({ ...put, nth: 3 }, { do: 'reset' });
  const done = await publish(app.appDir, 'faults', clientsOf(t, proxy.url), { retryBaseMs: 2 });
  t.equal(proxy.seen(put).length, 4);
  t.equal((await versions(bucket))[0]?.VersionId, done.versionId);
  const last = proxy.seen(put).at(-1);
  t.match(last?.headers, {
    'if-none-match': '*',
    'x-amz-checksum-sha256': Buffer.from(built.sha256, 'hex').toString('base64'),
    'content-length': String(built.sizeBytes),
  });
});

t.test('an answer that was lost is found again: the put was made', async (t) => {
  const bucket = await cloud.addEnvironment('lost');
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const clients = clientsOf(t, proxy.url);
  proxy.fault({ method: 'PUT', nth: 1 }, { do: 'resetAfter', bytes: 0 });
  const done = await publish(app.appDir, 'lost', clients, { retryBaseMs: 2 });
  t.equal((await versions(bucket)).length, 1);
  t.equal((await versions(bucket))[0]?.VersionId, done.versionId);
});

t.test('what stays is not tried again: denied', async (t) => {
  await cloud.addEnvironment('denied');
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  proxy.fault({ method: 'PUT' }, xmlError('AccessDenied', 403));
  t.match((await failureOf('AWS_DENIED', publish(app.appDir, 'denied', clientsOf(t, proxy.url), { retryBaseMs: 2 }))).message, /denied PutObject on s3:/);
  t.equal(proxy.seen({ method: 'PUT' }).length, 1);
  proxy.fault({ method: 'PUT' }, xmlError('ConditionalRequestConflict', 409));
  await failureOf('AWS_UNAVAILABLE', publish(app.appDir, 'denied', clientsOf(t, proxy.url), { retryBaseMs: 2 }));
});
