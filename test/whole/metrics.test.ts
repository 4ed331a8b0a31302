/** What CloudWatch has of an agent's life: the real agent, and moto asked as an operator would ask CloudWatch. */
import { CloudWatchClient, GetMetricStatisticsCommand, type MetricDatum } from '@aws-sdk/client-cloudwatch';
import t from 'tap';
import type { AgentEvent } from '../../contract/events.ts';
import { type MetricName, metricNamespace } from '../../contract/metrics.ts';
import type { Sha256 } from '../../contract/names.ts';
import { withoutImds } from '../support/agent.ts';
import { type Cloud, region, startCloud } from '../support/cloud.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultingProxy } from '../support/faulting-proxy.ts';
import { isStart, launch, limited, released } from '../support/launched.ts';
import { nth } from '../support/supervised.ts';

const hour = 3_600_000;
const puts = { target: 'GraniteServiceVersion20100801.PutMetricData' };

let cloud: Cloud;
let reader: CloudWatchClient;
t.before(async () => {
  cloud = await startCloud(t);
  reader = new CloudWatchClient({ endpoint: cloud.endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
  t.teardown(() => reader.destroy());
});

/** All that CloudWatch has of a metric, with `own` beside App and Env; undefined when it has nothing. */
async function statisticsOf(MetricName: MetricName, own: Readonly<Record<string, string>> = {}) {
  const Dimensions = Object.entries({ App: 'shop', Env: 'test', ...own }).map(([Name, Value]) => ({ Name, Value }));
  const [StartTime, EndTime] = [new Date(Date.now() - hour), new Date(Date.now() + hour)];
  const query = { Namespace: metricNamespace, MetricName, Dimensions, StartTime, EndTime, Period: 7200 };
  const { Datapoints: [all] = [] } = await reader.send(new GetMetricStatisticsCommand({ ...query, Statistics: ['SampleCount', 'Sum', 'Minimum', 'Maximum'] }));
  return all && { count: all.SampleCount ?? 0, sum: all.Sum ?? 0, least: all.Minimum ?? 0, greatest: all.Maximum ?? 0, unit: all.Unit };
}

t.test('a life from boot to drain: every phase, ready, probes, memory, a restart, and how long the drain took', async (t) => {
  const app = await released(t, cloud);
  const limits = limited({ metricsPeriodMs: 150, restartBaseMs: 1, restartCapMs: 2, drainSettleMs: 300 });
  const { agent } = await launch(t, cloud, app, limits);
  await agent.untilState('ready');
  const total = await eventually(
    () => statisticsOf('BootSeconds', { Phase: 'total' }),
    (found) => found !== undefined,
  );
  const ready = agent.events.find((event): event is AgentEvent & { event: 'state' } => event.event === 'state' && event.to === 'ready');
  t.match(total, { count: 1, unit: 'Seconds' });
  t.ok(Math.abs((total?.sum ?? 0) - (ready?.sinceStartMs ?? 0) / 1000) < 0.1, `${total?.sum} s`);
  for (const event of agent.events.filter((event) => event.event === 'phase-ended')) {
    t.match(await statisticsOf('BootSeconds', { Phase: event.phase }), { count: 1, sum: event.ms / 1000 }, event.phase);
  }
  t.match(await statisticsOf('Ready'), { greatest: 1, unit: 'None' });
  const memory = await statisticsOf('AgentMemory');
  t.ok(memory?.unit === 'Bytes' && memory.least > 30e6 && memory.greatest < 300e6, `${memory?.greatest} bytes`);
  const probes = await statisticsOf('ProbeLatency');
  t.ok(probes?.unit === 'Milliseconds' && probes.count >= 2 && probes.least > 0 && probes.greatest < 2_000, `${probes?.count} probes`);
  t.equal(await statisticsOf('Restarts'), undefined);

  process.kill((await agent.until(isStart)).pid, 'SIGKILL');
  await nth(agent, 2, 'state', { to: 'ready' });
  await eventually(
    () => statisticsOf('Restarts'),
    (found) => found !== undefined,
  );
  t.equal(await statisticsOf('DrainSeconds'), undefined);
  t.equal(await agent.stop(), 0);
  t.match(await statisticsOf('Restarts'), { count: 1, sum: 1, unit: 'Count' });
  t.match(await statisticsOf('BootSeconds', { Phase: 'total' }), { count: 1 }, 'a restart is no boot');
  const drain = await statisticsOf('DrainSeconds');
  t.ok(drain?.count === 1 && drain.sum >= 0.3 && drain.sum < 10, `${drain?.sum} s`);
  t.equal(await statisticsOf('BootFailures'), undefined);
});

t.test('a boot that fails is told at once, with its cause and without', async (t) => {
  const { userData, interpreter } = await released(t, cloud);
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const put = proxy.next(puts);
  const other = { ...userData, recordSha256: '0'.repeat(64) as Sha256 };
  const { agent } = await launch(t, cloud, { interpreter, userData: other }, { ...withoutImds(proxy.url), ...limited({ metricsPeriodMs: 24 * hour }) });
  await agent.untilState('failed');
  const failedAt = performance.now();
  const { atMs } = await put;
  t.ok(atMs - failedAt < 2_000, `${Math.round(atMs - failedAt)} ms after it failed`);
  const found = await eventually(
    () => statisticsOf('BootFailures', { Cause: 'RECORD_DIGEST_MISMATCH' }),
    (found) => found !== undefined,
  );
  t.match(found, { count: 1, sum: 1, unit: 'Count' });
  await agent.stop();
  // Not asked of moto: it takes a datum with Cause for one without, too.
  const data = proxy.seen(puts).flatMap(({ body }): MetricDatum[] => JSON.parse(body.toString()).MetricData);
  const failures = data
    .filter((datum) => datum.MetricName === 'BootFailures')
    .map(({ Dimensions = [], Value }) => [...Dimensions.map((own) => own.Value), Value]);
  t.same(failures, [
    ['shop', 'test', 'RECORD_DIGEST_MISMATCH', 1],
    ['shop', 'test', 1],
  ]);
});
