/** S46: a service that a boot needs is away, for a while or for good. The real agent; the outage is made on the wire. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Limits } from '../../agent/limits.ts';
import { startImds } from '../../local/imds.ts';
import { agentProcess, withoutImds } from '../support/agent.ts';
import { type Cloud, region, startCloud } from '../support/cloud.ts';
import { startFaultingProxy } from '../support/faulting-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { get, launch, limited, released, starts } from '../support/launched.ts';
import { shortFolder } from '../support/short-folder.ts';
import { all, endsClean, nth, states } from '../support/supervised.ts';

let cloud: Cloud;
let app: Awaited<ReturnType<typeof released>>;
t.before(async () => {
  cloud = await startCloud(t);
  app = await released(t, cloud);
});

const budgetMs = 1_500;
const artifact = { method: 'GET', path: /\.tar\.zst/ };
/** Not every POST: a boot that failed is told to CloudWatch at the same address. */
const parameters = { target: 'AmazonSSM.GetParameter' };

/** The agent of an instance: what it is comes from its metadata service, behind the proxy. */
async function launchInstance(t: Test, limits: Partial<Limits>) {
  const folder = shortFolder(t);
  const imds = await startImds({
    instance: 'i-0123456789abcdef0',
    address: '127.0.0.1',
    region,
    roleName: 'pinion-runtime',
    credentials: () => ({ accessKeyId: 'test', secretAccessKey: 'test', sessionToken: 'token', expiration: new Date(Date.now() + 3_600_000) }),
    userData: Buffer.from(JSON.stringify(app.userData)),
  });
  t.teardown(() => imds.stop());
  const proxy = await startFaultingProxy(t, imds.endpoint);
  const port = await freePort();
  const start = () => {
    const endpoints = { AWS_ENDPOINT_URL: cloud.endpoint, AWS_EC2_METADATA_SERVICE_ENDPOINT: proxy.url };
    const environment = { ...endpoints, PINION_PYTHON: app.interpreter, PINION_TRAFFIC_PORT: String(port), ...limited(limits) };
    const startedAt = performance.now();
    const agent = agentProcess({ folder, environment });
    t.teardown(() => agent.stop());
    return { agent, folder, port, url: `http://127.0.0.1:${port}`, sinceMs: () => performance.now() - startedAt };
  };
  return { proxy, start };
}

/** The agent of a laptop: the services of AWS are behind the proxy. */
async function launchLocal(t: Test, limits: Partial<Limits>) {
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const folder = shortFolder(t);
  const userData = { ...app.userData, times: { ...app.userData.times, bootBudgetMs: limits.bootBudgetMs ?? 60_000 } };
  return { proxy, folder, start: () => launch(t, cloud, { ...app, userData }, { ...withoutImds(proxy.url), ...limited(limits) }, folder) };
}

const services = [
  { name: 'the metadata service', match: {}, phase: 'identity', cause: 'IMDS_UNAVAILABLE', prepared: launchInstance },
  { name: 'Parameter Store', match: parameters, phase: 'release', cause: 'SSM_UNAVAILABLE', prepared: launchLocal },
  { name: 'S3', match: artifact, phase: 'download', cause: 'S3_UNAVAILABLE', prepared: launchLocal },
] as const;

for (const { name, match, phase, cause, prepared } of services) {
  t.test(`S46: ${name} is away at boot and comes back: asked again until then, readiness says for what, and ready`, async (t) => {
    // One connection a download, so that every failure is told.
    const { proxy, start } = await prepared(t, { retryBaseMs: 10, retryCapMs: 20, downloadConnections: 1 });
    const outage = proxy.fault(match, { do: 'reset' });
    const running = await start();
    const { agent, url } = running;
    t.match(await nth(agent, 5, 'phase-retried'), { phase, cause, attempt: 5 });
    t.match(await agent.readyz(), { status: 503, body: { state: 'booting', phase } });
    outage.remove();
    await agent.untilState('ready');
    t.equal((await get(url)).status, 200);
    t.ok(all(agent, 'phase-retried').every((retry) => retry.phase === phase && retry.retryInMs < 20));
    t.same(states(agent), ['starting', 'ready']);
    t.same(agent.console, []);
    await endsClean(t, running);
  });

  t.test(`S46: ${name} is away for longer than the boot may take: its cause at the end of the budget, asked a bounded number of times`, async (t) => {
    const { proxy, start } = await prepared(t, { bootBudgetMs: budgetMs, retryBaseMs: 50, retryCapMs: 200, downloadConnections: 1 });
    proxy.fault(match, { do: 'reset' });
    const running = await start();
    const { agent, folder, sinceMs } = running;
    await agent.untilState('failed');
    const tookMs = sinceMs();
    // A wait that would pass the end is not begun.
    t.ok(tookMs > budgetMs - 200 && tookMs < budgetMs + 5_000, `after ${Math.round(tookMs)} ms`);
    t.match(await agent.readyz(), { status: 503, body: { state: 'failed', cause, sentence: /./, next: /./ } });
    const retries = all(agent, 'phase-retried').length;
    t.ok(retries >= 3, `${retries} retries`);
    const asked = proxy.seen(match).length;
    // Once more by the agent itself, which looks for notices.
    t.ok(asked <= retries + 2 && asked < 60, `${asked} requests`);
    await agent.untilConsole();
    t.equal(agent.console.length, 1);
    t.match(agent.console[0], new RegExp(`^pinion: ${cause}: `));
    t.same(states(agent), ['failed']);
    t.equal(starts(agent), 0);
    t.same(
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.startsWith('state/releases/')),
      [],
    );
    await endsClean(t, running);
  });
}

t.test('S46: with S3 away a tree on disk is served without it, unless it differs from what was installed', async (t) => {
  const { proxy, folder, start } = await launchLocal(t, { bootBudgetMs: 3 * budgetMs, retryBaseMs: 50, retryCapMs: 200 });
  const first = await start();
  await first.agent.untilState('ready');
  await endsClean(t, first);
  t.equal(proxy.seen(artifact).length, 1);
  proxy.fault(artifact, { do: 'reset' });
  const second = await start();
  await second.agent.untilState('ready');
  t.match(await second.agent.readyz(), { status: 200, body: { release: app.userData.release } });
  await endsClean(t, second);
  t.equal(proxy.seen(artifact).length, 1, 'not asked');

  rmSync(join(folder, 'state', 'releases', app.sha256, 'app', 'shop.py'));
  const third = await start();
  await third.agent.untilState('failed');
  t.match((await third.agent.readyz()).body, { cause: 'S3_UNAVAILABLE' });
  t.equal(starts(third.agent), 0);
  await endsClean(t, third);
});
