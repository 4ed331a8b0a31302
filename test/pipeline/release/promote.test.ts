import { cpSync } from 'node:fs';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { GetParameterHistoryCommand, PutParameterCommand } from '@aws-sdk/client-ssm';
import t from 'tap';
import { build } from '../../../pipeline/artifact/build.ts';
import { publish } from '../../../pipeline/artifact/publish.ts';
import { setConfig } from '../../../pipeline/config/parameters.ts';
import { promote } from '../../../pipeline/release/promote.ts';
import { release } from '../../../pipeline/release/release.ts';
import { makeApp, temporaryFolder } from '../../support/pipeline-app.ts';
import { runCli } from '../../support/pipeline-cli.ts';
import { awsEnvironment, failureOf, startTestCloud } from '../../support/pipeline-cloud.ts';

const cloud = await startTestCloud(t);
const names = ['GREETING', 'SECRET_KEY'];
const sample = makeApp(t, { settings: `config = ["${names.join('", "')}"]\n` });
await build(sample.appDir, { env: sample.env });

const set = (env: string, name: string, value: string) =>
  setConfig(cloud.ssm, { app: 'shop', env }, names, { name, bytes: Buffer.from(value), type: 'String' }, new AbortController().signal);
const put = (Name: string, Value: string) => cloud.ssm.send(new PutParameterCommand({ Name, Type: 'String', Value, Overwrite: true }));
const shareBucket = (env: string, artifactBucket: string) => put(`/pinion/shop/${env}/infrastructure`, JSON.stringify({ schemaVersion: 1, artifactBucket }));
const to = (env: string, from: string, number?: number, options = {}) => promote({ app: 'shop', env }, { env: from, release: number }, cloud, options);
const records = async (env: string) =>
  (await cloud.ssm.send(new GetParameterHistoryCommand({ Name: `/pinion/shop/${env}/release` })).catch(() => undefined))?.Parameters ?? [];

/** An environment with config and two releases: the second is of another artifact. */
async function withReleases(t: { teardown(fn: () => unknown): unknown }, env: string) {
  const bucket = await cloud.addEnvironment(env);
  for (const name of names) await set(env, name, 'one');
  const one = temporaryFolder(t);
  cpSync(sample.appDir, one, { recursive: true });
  await publish(one, env, cloud);
  const first = await release(one, env, cloud, { note: 'first' });
  const other = makeApp(t, { settings: 'config = ["GREETING"]\n', files: { 'new.py': '' } });
  await build(other.appDir, { env: other.env });
  await publish(other.appDir, env, cloud);
  return { bucket, first, second: await release(other.appDir, env, cloud) };
}

t.test("the same artifact with this environment's newest config, by number or the newest, without a build", async (t) => {
  const { bucket, first, second } = await withReleases(t, 'staging');
  await shareBucket('prod', bucket);
  await set('prod', 'GREETING', 'a');
  await set('prod', 'GREETING', 'b');
  await set('prod', 'SECRET_KEY', 'c');
  const { appDir } = makeApp(t, { settings: 'config = []\n' });
  const env = { ...awsEnvironment(cloud.endpoint), PINION_ENV: 'prod', PINION_APP_DIR: appDir };
  const promoted = JSON.parse((await runCli(['release', '--from', 'staging:1', '--json'], env)).stdout);
  t.match(promoted, { ok: true, verb: 'release', release: 1, recordSha256: /^[0-9a-f]{64}$/ });
  const { config, note, env: where, createdAt, createdBy, ...rest } = first.record;
  t.match(promoted.record, rest, 'artifact, python, platform, agent and commit');
  t.match(promoted.record, { env: 'prod', config: { GREETING: 2, SECRET_KEY: 1 }, note: 'from staging:1' });
  t.not(promoted.record.createdAt, createdAt);

  const another = await runCli(['release', '--from', `staging:1:${second.recordSha256}`], env);
  t.match(another, { exit: 3, stderr: new RegExp(`${first.recordSha256}.*${second.recordSha256}`) }, 'the record that was approved, or none');

  const newest = await runCli(['release', '--from', 'staging', '--config', 'GREETING=1', '--note', 'go'], env);
  t.match(newest, {
    exit: 0,
    stdout: new RegExp(`^release 2 of shop in prod\nartifact ${second.record.artifact.sha256}, .*\nconfig GREETING version 1\nnote go\nrecord sha256`),
  });

  t.match(await to('staging', 'staging', 1), { release: 3, record: { note: 'from staging:1', config: { GREETING: 1, SECRET_KEY: 1 } } });
  await set('staging', 'GREETING', 'two');
  t.match(await to('staging', 'staging', 1, { createdBy: 'me' }), { release: 4, record: { config: { GREETING: 2 }, createdBy: 'me' } }, 'the newest config');
});

t.test('everything it needs must be there, and nothing is written when it is not', async (t) => {
  const { bucket, first } = await withReleases(t, 'test');
  await failureOf('INFRASTRUCTURE_MISSING', to('live', 'test'));
  await cloud.addEnvironment('live');
  t.match(
    (await failureOf('ARTIFACT_BUCKET_DIFFERS', to('live', 'test', 1))).message,
    `test:1 is in the bucket ${bucket}; live takes artifacts from artifacts-live`,
  );
  await shareBucket('live', bucket);
  t.match((await failureOf('RELEASE_MISSING', to('live', 'test', 9))).message, 'there is no release 9 of shop in test');
  t.match((await failureOf('RELEASE_MISSING', to('live', 'nowhere'))).message, 'there is no release of shop in nowhere');
  await set('live', 'GREETING', 'x');
  t.match((await failureOf('CONFIG_NOT_SET', to('live', 'test', 1))).message, 'in live: SECRET_KEY', 'of the record, not of the folder');
  await set('live', 'SECRET_KEY', 'x');
  await failureOf('CONFIG_VERSION_MISSING', to('live', 'test', 1, { config: { GREETING: 7 } }));
  await failureOf('CONFIG_NAME_UNKNOWN', to('live', 'test', 2, { config: { SECRET_KEY: 1 } }));
  await put('/pinion/shop/test/release', '{}');
  t.match((await failureOf('RECORD_INVALID', to('live', 'test'))).message, '/pinion/shop/test/release:3 is not a release record at /');
  await put('/pinion/shop/test/release', JSON.stringify({ ...first.record, env: 'elsewhere' }));
  t.match((await failureOf('RECORD_INVALID', to('live', 'test'))).message, 'at /env: it belongs to shop in elsewhere');

  const { key: Key, versionId } = first.record.artifact;
  const { VersionId } = await cloud.s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'short' }));
  const altered = { ...first.record, artifact: { ...first.record.artifact, versionId: VersionId } };
  await put('/pinion/shop/test/release', JSON.stringify(altered));
  t.match((await failureOf('ARTIFACT_SIZE_MISMATCH', to('live', 'test'))).message, 'has 5 bytes');
  await cloud.s3.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId: versionId }));
  t.match((await failureOf('ARTIFACT_MISSING', to('live', 'test', 1))).message, `?versionId=${versionId}`);
  t.same(await records('live'), []);
});
