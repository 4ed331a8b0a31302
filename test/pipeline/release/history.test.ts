import { LabelParameterVersionCommand, PutParameterCommand } from '@aws-sdk/client-ssm';
import t from 'tap';
import type { ReleaseNumber, Sha256 } from '../../../contract/names.ts';
import type { ReleaseRecord } from '../../../contract/release.ts';
import { plainOutput } from '../../../pipeline/output/plain.ts';
import { historyOf } from '../../../pipeline/release/history.ts';
import { readReleases, type Stored, sha256Of } from '../../../pipeline/release/read.ts';
import { recordText } from '../../../pipeline/release/record.ts';
import { startFaultingProxy } from '../../support/faulting-proxy.ts';
import { makeApp } from '../../support/pipeline-app.ts';
import { runCli } from '../../support/pipeline-cli.ts';
import { awsEnvironment, clientsOf, failureOf, startTestCloud } from '../../support/pipeline-cloud.ts';

const cloud = await startTestCloud(t);
const never = new AbortController().signal;
const record = (env: string, config: Readonly<Record<string, number>>, more: Partial<ReleaseRecord> = {}): ReleaseRecord => ({
  schemaVersion: 1,
  app: 'shop',
  env,
  artifact: { bucket: 'bucket', key: 'k', versionId: 'v', sha256: 'a'.repeat(64) as Sha256, sizeBytes: 3, unpackedBytes: 2, files: 1 },
  config,
  python: '3.13',
  platform: 'linux_x86_64',
  minAgent: '0.1.0',
  commit: 'b'.repeat(40),
  createdAt: '2026-01-02T03:04:05.000Z',
  createdBy: 'codebuild/x',
  note: '',
  ...more,
});
const put = (env: string, Value: string, app = 'shop') =>
  cloud.ssm.send(new PutParameterCommand({ Name: `/pinion/${app}/${env}/release`, Type: 'String', Value, Overwrite: true }));
const read = (env: string, ssm = cloud.ssm) => readReleases(ssm, { app: 'shop', env }, never);

t.test('newest first, what each changed of config, labels, and what is no record, in plain lines and with --json', async (t) => {
  const first = recordText(record('prod', { B: 1, A: 1 }, { note: 'the \u001b[31mfirst' }));
  await put('prod', first);
  await put('prod', 'rubbish');
  await put('prod', recordText(record('other', { A: 1 })));
  await put('prod', recordText(record('prod', { A: 2, B: 1, C: 1 }, { commit: `${'c'.repeat(40)}-dirty` })));
  await put('prod', recordText(record('prod', { A: 2, C: 1 })));
  await put('prod', recordText(record('prod', { A: 2, C: 1 }, { artifact: { ...record('prod', {}).artifact, sha256: 'd'.repeat(64) as Sha256 } })));
  await cloud.ssm.send(new LabelParameterVersionCommand({ Name: '/pinion/shop/prod/release', ParameterVersion: 6, Labels: ['live'] }));
  const { appDir } = makeApp(t);
  const env = { ...awsEnvironment(cloud.endpoint), PINION_ENV: 'prod', PINION_APP_DIR: appDir };
  const same = (commit: string, sha256 = 'a') => `2026-01-02 03:04:05Z  artifact ${sha256.repeat(12)}  commit ${commit}  by codebuild/x`;
  t.same(await runCli(['history'], env), {
    exit: 0,
    stderr: '',
    stdout: `   6  ${same('b'.repeat(12), 'd')}  live
   5  ${same('b'.repeat(12))}
      config B no more
   4  ${same(`${'c'.repeat(12)}-dirty`)}
      config A 2 (was 1), C 1 (new)
   3  is not a release record at /env: it belongs to shop in other
   2  is not a release record at /: is not JSON
   1  ${same('b'.repeat(12))}
      note the \\u{1b}[31mfirst
      config A 1 (new), B 1 (new)
`,
  });
  const { releases, ...rest } = JSON.parse((await runCli(['history', '--json'], env)).stdout);
  t.same(rest, { ok: true, verb: 'history', app: 'shop', env: 'prod' });
  t.same(releases[0].labels, ['live']);
  t.match(releases[3], { release: 3, problem: /it belongs to shop in other/ });
  t.same(releases[5], {
    release: 1,
    recordSha256: sha256Of(first),
    labels: [],
    createdAt: '2026-01-02T03:04:05.000Z',
    createdBy: 'codebuild/x',
    commit: 'b'.repeat(40),
    sha256: 'a'.repeat(64),
    changes: [
      { name: 'A', version: 1 },
      { name: 'B', version: 1 },
    ],
    note: 'the \u001b[31mfirst',
  });
});

t.test('an environment without a release has none, and says so', async (t) => {
  const { appDir } = makeApp(t);
  const env = { ...awsEnvironment(cloud.endpoint), PINION_ENV: 'empty', PINION_APP_DIR: appDir };
  t.same(await runCli(['history'], env), { exit: 0, stdout: 'no release of shop in empty yet\n', stderr: '' });
  t.match(JSON.parse((await runCli(['history', '--json'], env)).stdout), { ok: true, releases: [] });
});

t.test('all pages are read; Parameter Store keeps 100, and what is gone is said', async (t) => {
  for (let number = 1; number <= 103; number++) await put('long', recordText(record('long', { A: number })));
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const stored = await read('long', clientsOf(t, proxy.url).ssm);
  t.same(
    stored.map(({ release }) => release),
    Array.from({ length: 100 }, (_, at) => 103 - at),
  );
  t.ok(proxy.seen({ target: 'AmazonSSM.GetParameterHistory' }).length > 1);
  t.notOk(
    proxy.requests.some(({ body }) => body.includes('"WithDecryption":true')),
    'nothing is decrypted',
  );
  const releases = historyOf(stored);
  t.match(releases[0], { changes: [{ name: 'A', version: 103, before: 102 }] });
  t.match(releases[99], { release: 4, changes: undefined }, 'nobody knows what it changed');
  let text = '';
  const stdout = { write: (chunk: string) => (text += chunk) } as unknown as NodeJS.WritableStream;
  plainOutput(stdout, stdout).result({ verb: 'history', app: 'shop', env: 'long', releases });
  t.match(text, /\n {3}4 .*\nearlier ones are gone: Parameter Store keeps 100 versions\n$/);
});

t.test('changes are told from the record before, whatever stands between; without one, nobody knows', async (t) => {
  const stored = (release: number, config?: Record<string, number>): Stored => {
    const entry = { release: release as ReleaseNumber, recordSha256: 'e'.repeat(64) as Sha256, labels: [] };
    return config === undefined ? { ...entry, problem: { path: '/', problem: 'is not JSON' } } : { ...entry, record: record('prod', config) };
  };
  t.match(historyOf([stored(3, { A: 2 }), stored(2), stored(1, { A: 1 })]), [{ changes: [{ name: 'A', version: 2, before: 1 }] }, { problem: String }, {}]);
  t.match(historyOf([stored(2, { A: 2 }), stored(1)]), [{ changes: undefined }, { problem: String }]);
});

t.test('what AWS refuses is a cause, and no history', async (t) => {
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  proxy.fault({ nth: 2 }, { do: 'reset' });
  t.match((await failureOf('AWS_UNAVAILABLE', read('long', clientsOf(t, proxy.url).ssm))).message, 'GetParameterHistory on /pinion/shop/long/release');
});
