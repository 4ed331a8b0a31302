// `npm run test:imds-mock`: the agent's reading of instance metadata against AWS's own mock of it. Skipped by name where there is no Go.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { withDeathSignal } from '../../agent/app/process-group.ts';
import { createClients } from '../../agent/aws.ts';
import { readIdentity } from '../../agent/boot/identity.ts';
import { createImds } from '../../agent/imds.ts';
import { defaultLimits } from '../../agent/limits.ts';
import { startFaultingProxy } from '../support/faulting-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { makeUserData, useEnvironment } from '../support/pinned.ts';
import { shortFolder } from '../support/short-folder.ts';
import { installOnce } from './install-once.ts';

const version = 'v1.13.0';
const module = `github.com/aws/amazon-ec2-metadata-mock/cmd/ec2-metadata-mock@${version}`;
const { signal } = new AbortController();
const userData = makeUserData(7, 'a record');
const expiration = new Date(Math.floor(Date.now() / 1000) * 1000 + 6 * 3_600_000);

if (spawnSync('go', ['version']).status !== 0) t.plan(0, `skipped: Go is missing, which builds ${module}: apt-get install golang-go`);
else {
  const endpoint = await startMock(
    installOnce(`ec2-metadata-mock-${version}`, 'ec2-metadata-mock', (folder) => [['env', `GOBIN=${folder}`, 'go', 'install', module]]),
  );

  t.test('what an instance is and is to boot', async (t) => {
    const imds = createImds(endpoint, defaultLimits);
    const identity = await readIdentity({ kind: 'imds', imds }, signal);
    t.same(identity, { instance: 'i-0123456789abcdef0', address: '127.0.0.9', userData });
    t.equal(await imds.get('/latest/meta-data/spot/instance-action', signal), undefined);
  });

  t.test('Region and credentials of the role', async (t) => {
    useEnvironment(t, { AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint });
    const { ssm } = createClients(createImds(endpoint, defaultLimits), defaultLimits);
    t.teardown(() => ssm.destroy());
    t.equal(await ssm.config.region(), 'eu-west-1');
    t.match(await ssm.config.credentials(), { accessKeyId: 'ASIAMOCK', secretAccessKey: 'mock', sessionToken: 'session', expiration });
  });

  t.test('a token is renewed before it ends, and when it is refused', async (t) => {
    const proxy = await startFaultingProxy(t, endpoint);
    const imds = createImds(proxy.url, { ...defaultLimits, imdsTokenSeconds: 2 });
    const statuses = () => proxy.requests.map(({ method, answered }) => `${method} ${answered}`);
    while (proxy.seen({ method: 'PUT' }).length < 2) await imds.get('/latest/meta-data/instance-id', signal);
    t.notOk(statuses().includes('GET 401'));
    proxy.fault({ method: 'PUT', nth: 1 }, { do: 'answer', status: 200, body: 'not one of its tokens' });
    while (proxy.seen({ method: 'PUT' }).length < 3) await imds.get('/latest/meta-data/instance-id', signal);
    t.equal(await imds.get('/latest/meta-data/instance-id', signal), 'i-0123456789abcdef0');
    t.match(statuses().join(' '), /PUT 200 GET 401 PUT 200 GET 200/);
  });
}

/** The mock as one instance, until the end of the tests: its endpoint on 127.0.0.1. */
async function startMock(program: string): Promise<string> {
  const port = await freePort();
  const file = join(shortFolder(t), 'mock.json');
  const credentials = {
    Code: 'Success',
    LastUpdated: '2026-01-02T03:04:05Z',
    Type: 'AWS-HMAC',
    AccessKeyId: 'ASIAMOCK',
    SecretAccessKey: 'mock',
    Token: 'session',
    Expiration: expiration.toISOString().replace('.000', ''),
  };
  const values = {
    'instance-id': 'i-0123456789abcdef0',
    'local-ipv4': '127.0.0.9',
    'placement-region': 'eu-west-1',
    'iam-security-credentials-role': 'pinion-runtime',
    'iam-security-credentials': credentials,
  };
  const settings = {
    server: { hostname: '127.0.0.1', port: String(port) },
    imdsv2: true,
    // Else it announces an interruption, a rebalance and its own end from the start.
    'mock-delay-sec': 3_600,
    'rebalance-delay-sec': 3_600,
    'asg-termination-delay-sec': 3_600,
    metadata: { values },
    userdata: { values: { userdata: Buffer.from(JSON.stringify(userData)).toString('base64') } },
  };
  writeFileSync(file, JSON.stringify(settings));
  const [command, ...args] = withDeathSignal([program, '-c', file]);
  const child = spawn(command, args, { stdio: 'ignore' });
  const ended = once(child, 'close');
  while (child.exitCode === null) {
    if (await accepts(port)) {
      t.teardown(async () => {
        child.kill('SIGTERM');
        await ended;
      });
      return `http://127.0.0.1:${port}`;
    }
    await wait(10);
  }
  // Someone else was quicker with that port.
  return startMock(program);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
