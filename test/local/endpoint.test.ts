import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { GetBucketVersioningCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { GetParameterHistoryCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import t, { type Test } from 'tap';
import { makeInfrastructure, openCloud, region } from '../../local/cloud.ts';
import { startMoto } from '../../local/moto.ts';
import { freePort } from '../support/free-port.ts';
import { start } from './start-process.ts';

/** A cloud that nobody starts and stops but the test, and clients of its owner. */
async function foreignCloud(t: Test) {
  const { endpoint, stop } = await startMoto();
  t.teardown(stop);
  const options = { endpoint, region, credentials: { accessKeyId: 'owner', secretAccessKey: 'owner' } };
  const s3 = new S3Client({ ...options, forcePathStyle: true });
  const ssm = new SSMClient(options);
  t.teardown(() => {
    s3.destroy();
    ssm.destroy();
  });
  const history = async (name: string) => (await ssm.send(new GetParameterHistoryCommand({ Name: `/pinion/flask-app/local/${name}` }))).Parameters ?? [];
  const set = (name: string, Value: string) => ssm.send(new PutParameterCommand({ Name: `/pinion/flask-app/local/${name}`, Value, Type: 'String' }));
  return { endpoint, s3, history, set };
}

t.test('AWS_ENDPOINT_URL: that cloud is used, what is there is kept, and nothing of it is stopped or deleted', async (t) => {
  const { endpoint, s3, history, set } = await foreignCloud(t);
  await set('config/GREETING', 'from before');
  const env = { AWS_ENDPOINT_URL: endpoint };
  const first = await start(t, { env });
  t.match(await first.line(/^pinion: /), `on ${endpoint} (AWS_ENDPOINT_URL)`);
  await first.line(/^Enter: /);
  t.equal(await first.served(), '1');
  t.match(readFileSync(first.environmentFile, 'utf8'), `export AWS_ENDPOINT_URL='${endpoint}'`);
  const embedded = connect(first.ports.cloud, '127.0.0.1');
  t.match(await once(embedded, 'error'), [{ code: 'ECONNREFUSED' }], 'no cloud of its own runs');
  first.child.kill('SIGINT');
  t.equal(await first.ended, 0);

  const second = await start(t, { args: ['--once'], env });
  t.equal(await second.ended, 0, second.lines.join('\n'));
  t.match(second.lines.join('\n'), /answered 200, X-Pinion-Release: 2$/m);
  t.notMatch(second.lines.join('\n'), /streaming request/, "none of the SDK's own warnings");
  t.equal((await history('release')).length, 2);
  const greetings = (await history('config/GREETING')).map(({ Value }) => Value);
  t.same(greetings, ['from before'], 'a value that is set stays');
  t.equal((await history('config/SECRET_KEY')).length, 1, 'a second start makes no second secret');
  t.match(await s3.send(new GetBucketVersioningCommand({ Bucket: 'pinion-flask-app' })), { Status: 'Enabled' });
  const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket: 'pinion-flask-app' }));
  t.equal(Versions.length, 1, 'equal artifacts are one object');
});

t.test('a cloud that refuses, is silent or is something else ends the start with one line', async (t) => {
  const port = await freePort();
  const refused = await start(t, { args: ['--once'], env: { AWS_ENDPOINT_URL: `http://127.0.0.1:${port}` } });
  t.equal(await refused.ended, 1);
  const said = refused.lines.filter((line) => !line.startsWith('  '));
  t.match(said, [/^pinion: /, new RegExp(`^pinion: LOCAL_CLOUD_SILENT: the cloud at http://127\\.0\\.0\\.1:${port} does not answer: .*ECONNREFUSED\\.`)]);
  t.equal(said.length, 2);

  for (const [answer, code, message] of [
    ['', 'LOCAL_CLOUD_SILENT', /^the cloud at http:/],
    ['HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\nnot here!', 'AWS_REFUSED', /CreateBucket|PutParameter/],
  ] as const) {
    const server = createServer((socket) => socket.on('error', () => {}).once('data', () => answer && socket.end(answer)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const cloud = await openCloud({ endpoint, port: 0, patienceMs: 100 }, new AbortController().signal);
    await t.rejects(makeInfrastructure(cloud, { app: 'shop', env: 'local' }, endpoint), { code, message });
    server.close();
  }
});
