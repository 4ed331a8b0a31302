import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CloudWatchClient, GetMetricStatisticsCommand, ListMetricsCommand } from '@aws-sdk/client-cloudwatch';
import fc from 'fast-check';
import t from 'tap';
import { createImds } from '../../../agent/imds.ts';
import { createBacklog, createMetrics, requestOf } from '../../../agent/reporting/metrics.ts';
import { type MetricName, metrics as table } from '../../../contract/metrics.ts';
import { type Fault, jsonError, throttled } from '../../support/faulting-proxy.ts';
import { faultBefore, quickLimits, startCloud, startMetadata, useEnvironment } from '../../support/pinned.ts';

type Test = Parameters<typeof faultBefore>[0];
const cloud = await startCloud(t);
const reader = new CloudWatchClient({ endpoint: cloud.endpoint, region: 'eu-west-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
t.teardown(() => reader.destroy());
// moto loads CloudWatch at its first call, which takes longer than the limits here have patience.
await reader.send(new ListMetricsCommand({}));

const gauges = { Ready: 1, AgentMemory: 50_000_000 };
const hour = 3_600_000;
const puts = { target: 'GraniteServiceVersion20100801.PutMetricData' };

/** Metrics of an agent that sends only when the test says so; `said` is what it told of its troubles, `ended` waits for so many ends of a minute. */
async function agent(t: Test, changes: Partial<Parameters<typeof createMetrics>[0]['limits']> = {}) {
  const proxy = await faultBefore(t, cloud.endpoint);
  const said: string[] = [];
  let onEnd = () => {};
  const metrics = createMetrics({
    imds: undefined,
    limits: { ...quickLimits, metricsPeriodMs: hour, metricsKeptMinutes: 15, ...changes },
    read: () => {
      onEnd();
      return gauges;
    },
    onTrouble: (detail) => said.push(detail),
    onRecovered: () => said.push('recovered'),
  });
  t.teardown(() => metrics.close(0));
  const ended = (count: number) =>
    new Promise<void>((resolve) => {
      onEnd = () => {
        if (--count === 0) resolve();
      };
    });
  return { proxy, metrics, said, ended };
}

/** What CloudWatch has of a metric of `app`, over the last hour. */
async function statisticsOf(app: string, name: MetricName, own: Readonly<Record<string, string>> = {}) {
  const Dimensions = Object.entries({ App: app, Env: 'test', ...own }).map(([Name, Value]) => ({ Name, Value }));
  const [StartTime, EndTime] = [new Date(Date.now() - hour), new Date(Date.now() + hour)];
  const Statistics = ['SampleCount', 'Sum', 'Minimum', 'Maximum'] as const;
  const query = { Namespace: 'Pinion', MetricName: name, Dimensions, StartTime, EndTime, Period: 7200, Statistics: [...Statistics] };
  const { Datapoints = [] } = await reader.send(new GetMetricStatisticsCommand(query));
  t.ok(Datapoints.length <= 1);
  const { Timestamp: _, ...datum } = Datapoints[0] ?? {};
  return datum;
}

/** Every metric of `app` that CloudWatch lists, with its dimensions: `BootSeconds App=… Env=… Phase=…`. */
async function listed(app: string) {
  const { Metrics = [] } = await reader.send(new ListMetricsCommand({ Namespace: 'Pinion', Dimensions: [{ Name: 'App', Value: app }] }));
  const names = Metrics.map(({ MetricName, Dimensions = [] }) => [MetricName, ...Dimensions.map(({ Name, Value }) => `${Name}=${Value}`)].join(' '));
  return [...new Set(names)].sort();
}

t.test('CloudWatch gets every metric of the table with its unit, dimensions and values, in one request', async (t) => {
  const { proxy, metrics, said } = await agent(t);
  metrics.belongTo({ app: 'all', env: 'test' });
  metrics.record('BootSeconds', 1.5, 'download');
  metrics.record('BootSeconds', 4.25, 'total');
  metrics.record('BootFailures', 1, 'RECORD_MISSING');
  for (const count of [1, 2]) metrics.record('Restarts', count);
  metrics.record('WorkersReplaced', 1);
  metrics.record('OomKills', 2);
  for (const ms of [12, 3, 30]) metrics.record('ProbeLatency', ms);
  metrics.record('DrainSeconds', 6);
  metrics.record('LogLinesLost', 700);
  metrics.record('ProbeLatency', Number.NaN);
  metrics.record('DrainSeconds', Number.POSITIVE_INFINITY);
  await metrics.flushNow();
  const place = 'App=all Env=test';
  t.same(await listed('all'), [
    `AgentMemory ${place}`,
    `BootFailures ${place}`,
    `BootFailures ${place} Cause=RECORD_MISSING`,
    `BootSeconds ${place} Phase=download`,
    `BootSeconds ${place} Phase=total`,
    ...['DrainSeconds', 'LogLinesLost', 'MetricsLost', 'OomKills', 'ProbeLatency', 'Ready', 'Restarts', 'WorkersReplaced'].map((name) => `${name} ${place}`),
  ]);
  const one = (Unit: string, value: number) => ({ SampleCount: 1, Sum: value, Minimum: value, Maximum: value, Unit });
  t.same(await statisticsOf('all', 'BootSeconds', { Phase: 'download' }), one('Seconds', 1.5));
  t.same(await statisticsOf('all', 'BootSeconds', { Phase: 'total' }), one('Seconds', 4.25));
  t.same(await statisticsOf('all', 'BootFailures', { Cause: 'RECORD_MISSING' }), one('Count', 1));
  t.same(await statisticsOf('all', 'Ready'), one('None', 1));
  t.same(await statisticsOf('all', 'Restarts'), one('Count', 3));
  t.same(await statisticsOf('all', 'WorkersReplaced'), one('Count', 1));
  t.same(await statisticsOf('all', 'OomKills'), one('Count', 2));
  t.same(await statisticsOf('all', 'ProbeLatency'), { SampleCount: 3, Sum: 45, Minimum: 3, Maximum: 30, Unit: 'Milliseconds' });
  t.same(await statisticsOf('all', 'DrainSeconds'), one('Seconds', 6));
  t.same(await statisticsOf('all', 'AgentMemory'), one('Bytes', 50_000_000));
  t.same(await statisticsOf('all', 'LogLinesLost'), one('Count', 700));
  t.same(await statisticsOf('all', 'MetricsLost'), one('Count', 2), 'what is no finite number is counted');
  t.equal(proxy.requests.length, 1);
  t.same(said, []);
});

t.test('one request a period, the first at a random time in it', async (t) => {
  const random = t.intercept(Math, 'random', { value: () => 0.5 });
  const periodMs = 300;
  const startedAtMs = performance.now();
  const { proxy, metrics } = await agent(t, { metricsPeriodMs: periodMs });
  random.restore();
  metrics.belongTo({ app: 'timed', env: 'test' });
  const times: number[] = [];
  while (times.length < 3) times.push((await proxy.next(puts)).atMs);
  for (const [index, atMs] of times.entries()) t.ok(atMs - startedAtMs >= periodMs * (index + 0.5) - 2, `${atMs - startedAtMs} ms`);
  t.intercept(Math, 'random', { value: () => 0 });
  const { proxy: early, metrics: at0 } = await agent(t);
  at0.belongTo({ app: 'timed', env: 'test' });
  await early.next(puts);
});

t.test('nothing is sent before app and environment are known; then all of it', async (t) => {
  const { proxy, metrics } = await agent(t);
  for (const seconds of [1, 2]) {
    metrics.record('BootSeconds', seconds, 'release');
    await metrics.flushNow();
  }
  t.equal(proxy.requests.length, 0);
  metrics.belongTo({ app: 'late', env: 'test' });
  await metrics.flushNow();
  t.equal(proxy.requests.length, 1);
  t.match(await statisticsOf('late', 'BootSeconds', { Phase: 'release' }), { SampleCount: 2, Sum: 3 });
  t.match(await statisticsOf('late', 'Ready'), { SampleCount: 3 });
});

t.test('each minute keeps its own time, and a count its own dimension', async (t) => {
  const backlog = createBacklog(15);
  backlog.record('BootFailures', 1, 'DISK_FULL');
  backlog.end(new Date(60_000), gauges);
  backlog.end(new Date(120_000), { ...gauges, Ready: 0 });
  const place = [
    { Name: 'App', Value: 'shop' },
    { Name: 'Env', Value: 'test' },
  ];
  const datum = (MetricName: string, Unit: string, Value: number, at: number, own: object[] = []) => {
    return { MetricName, Dimensions: [...place, ...own], Timestamp: new Date(at), Unit, Value };
  };
  t.same(requestOf(backlog.take(), { app: 'shop', env: 'test' }), {
    Namespace: 'Pinion',
    MetricData: [
      datum('BootFailures', 'Count', 1, 60_000, [{ Name: 'Cause', Value: 'DISK_FULL' }]),
      datum('BootFailures', 'Count', 1, 60_000),
      datum('Ready', 'None', 1, 60_000),
      datum('AgentMemory', 'Bytes', 50_000_000, 60_000),
      datum('Ready', 'None', 0, 120_000),
      datum('AgentMemory', 'Bytes', 50_000_000, 120_000),
    ],
  });
});

const refusals: readonly [Fault, string][] = [
  [{ do: 'reset' }, 'ECONNRESET'],
  [{ do: 'silence' }, 'ETIMEDOUT'],
  [throttled, '400 ThrottlingException'],
  [jsonError('AccessDeniedException', 'hunter2', 403), '403 AccessDeniedException'],
  [jsonError('InternalServiceFault', '', 500), '500 InternalServiceFault'],
  [{ do: 'answer', status: 502, body: '<html>' }, '502 SyntaxError'],
];

t.test('F21: CloudWatch that is not to be reached, throttles or denies is told once per reason; everything arrives when it is over', async (t) => {
  const { proxy, metrics, said } = await agent(t);
  metrics.belongTo({ app: 'refused', env: 'test' });
  for (const [fault] of refusals) {
    const rule = proxy.fault(puts, fault);
    for (const count of [1, 2]) {
      metrics.record('Restarts', count);
      await metrics.flushNow();
    }
    t.equal(rule.used, 2);
    rule.remove();
  }
  await metrics.flushNow();
  await metrics.flushNow();
  t.same(said, [...refusals.map(([, detail]) => detail), 'recovered']);
  t.match(await statisticsOf('refused', 'Restarts'), { SampleCount: 12, Sum: 18 });
  t.notOk((await listed('refused')).some((name) => name.startsWith('MetricsLost')));
});

t.test('F21: an endpoint that nobody listens on', async (t) => {
  const { metrics, said } = await agent(t);
  useEnvironment(t, { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' });
  metrics.belongTo({ app: 'nobody', env: 'test' });
  await metrics.flushNow();
  await metrics.flushNow();
  t.same(said, ['ECONNREFUSED']);
});

t.test('F21: hours without CloudWatch keep a bounded number of minutes, and what is dropped is counted', async (t) => {
  const { proxy, metrics, said } = await agent(t, { metricsKeptMinutes: 5 });
  metrics.belongTo({ app: 'hours', env: 'test' });
  const rule = proxy.fault(puts, throttled);
  const minutes = 300;
  for (let minute = 1; minute <= minutes; minute++) {
    metrics.record('Restarts', 1);
    metrics.record('ProbeLatency', minute);
    await metrics.flushNow();
  }
  const data = proxy.seen(puts).map(({ body }) => JSON.parse(body.toString()).MetricData.length);
  t.same(data.slice(0, 7), [4, 8, 12, 16, 20, 20, 21], 'four data a minute, and then how many were lost');
  t.equal(Math.max(...data), 25);
  rule.remove();
  await metrics.flushNow();
  // Kept when CloudWatch is back: four such minutes, and the last, which has only the two gauges.
  t.match(await statisticsOf('hours', 'Restarts'), { Sum: 4 });
  t.match(await statisticsOf('hours', 'ProbeLatency'), { SampleCount: 4, Minimum: minutes - 3, Maximum: minutes });
  t.match(await statisticsOf('hours', 'Ready'), { SampleCount: 5 });
  await metrics.flushNow();
  t.match(await statisticsOf('hours', 'MetricsLost'), { Sum: (minutes - 4) * 4 });
  t.same(said, ['400 ThrottlingException', 'recovered']);
});

t.test('a request in progress is not overlapped, and what came meanwhile is sent after it', async (t) => {
  const { proxy, metrics, ended } = await agent(t, { metricsPeriodMs: 5, requestTimeoutMs: 30_000 });
  const rule = proxy.fault({ ...puts, nth: 1 }, { do: 'hold' });
  const first = proxy.next(puts);
  metrics.record('Restarts', 1);
  metrics.belongTo({ app: 'slow', env: 'test' });
  await first;
  metrics.record('Restarts', 10);
  const [a, b] = [metrics.flushNow(), metrics.flushNow()];
  await ended(8);
  t.equal(proxy.requests.length, 1);
  rule.release();
  await Promise.all([a, b]);
  t.match(await statisticsOf('slow', 'Restarts'), { Sum: 11 });
});

t.test('the end sends what is left, within its bound, and nothing after it', async (t) => {
  const { proxy, metrics, said } = await agent(t, { metricsPeriodMs: 20, requestTimeoutMs: 30_000 });
  metrics.belongTo({ app: 'end', env: 'test' });
  metrics.record('DrainSeconds', 3);
  await metrics.close(10_000);
  t.match(await statisticsOf('end', 'DrainSeconds'), { Sum: 3 });
  const sent = proxy.requests.length;
  // A timer of twice the period fires after one that was left on.
  await new Promise((resolve) => setTimeout(resolve, 40));
  t.equal(proxy.requests.length, sent);
  t.same(said, []);

  const { proxy: silent, metrics: stuck } = await agent(t, { requestTimeoutMs: 30_000 });
  silent.fault(puts, { do: 'silence' });
  stuck.belongTo({ app: 'end', env: 'test' });
  const startedAtMs = performance.now();
  await stuck.close(200);
  const tookMs = performance.now() - startedAtMs;
  t.ok(tookMs >= 190 && tookMs < 5_000, `${tookMs} ms`);
});

t.test('on a host Region and credentials are those of the instance, and refused ones are asked for anew', async (t) => {
  const proxy = await faultBefore(t, cloud.endpoint);
  let given = 0;
  const { proxy: metadata } = await startMetadata(t, () => {
    given++;
    return { accessKeyId: `AKIA${given}`, secretAccessKey: 'secret', sessionToken: 'session', expiration: new Date(Date.now() + hour) };
  });
  const none = { AWS_REGION: undefined, AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  useEnvironment(t, { ...none, AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url, AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' });
  const limits = { ...quickLimits, metricsPeriodMs: hour, metricsKeptMinutes: 15 };
  const said: string[] = [];
  const metrics = createMetrics({ imds: createImds(metadata.url, limits), limits, read: () => gauges, onTrouble: (why) => said.push(why), onRecovered() {} });
  t.teardown(() => metrics.close(0));
  proxy.fault({ ...puts, nth: 1 }, jsonError('ExpiredTokenException', '', 403));
  metrics.belongTo({ app: 'host', env: 'test' });
  await metrics.flushNow();
  await metrics.flushNow();
  t.same(
    proxy.requests.map(({ headers }) => /Credential=(\w+)\/\d+\/([\w-]+)\/(\w+)/.exec(headers.authorization ?? '')?.slice(1)),
    ['AKIA1', 'AKIA2'].map((key) => [key, 'eu-west-1', 'monitoring']),
  );
  t.same(said, ['403 ExpiredTokenException']);
  t.match(await statisticsOf('host', 'Ready'), { SampleCount: 2 });
});

t.test('the SDK is loaded at the first request, no client but that of CloudWatch, and no timer keeps the process', async (t) => {
  const proxy = await faultBefore(t, cloud.endpoint);
  const program = `
    import { registerHooks } from 'node:module';
    const loaded = new Set();
    registerHooks({ load(url, context, next) {
      const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
      if (name !== undefined) loaded.add(name);
      return next(url, context);
    } });
    const { createMetrics } = await import(${JSON.stringify(import.meta.resolve('../../../agent/reporting/metrics.ts'))});
    const limits = ${JSON.stringify({ ...quickLimits, metricsPeriodMs: hour, metricsKeptMinutes: 15 })};
    const fail = (detail) => { throw new Error(detail); };
    const metrics = createMetrics({ imds: undefined, limits, read: () => (${JSON.stringify(gauges)}), onTrouble: fail, onRecovered() {} });
    metrics.record('Restarts', 1);
    await metrics.flushNow();
    const before = [...loaded];
    const [rss, startedAt] = [process.memoryUsage.rss(), performance.now()];
    if (process.argv[1] === 'send') {
      metrics.belongTo({ app: 'child', env: 'test' });
      await metrics.flushNow();
    }
    console.log(JSON.stringify({ before, after: [...loaded], ms: performance.now() - startedAt, mb: (process.memoryUsage.rss() - rss) / 1e6 }));
  `;
  const run = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, ...args], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      timeout: 20_000,
    });
    return JSON.parse(stdout);
  };
  t.same((await run()).before, []);
  t.equal(proxy.requests.length, 0);
  const { after, ms, mb } = await run('send');
  t.equal(proxy.requests.length, 1);
  t.same(
    after.filter((name: string) => name.startsWith('@aws-sdk/client-')),
    ['@aws-sdk/client-cloudwatch'],
  );
  t.comment(`the first request took ${Math.round(ms)} ms and ${Math.round(mb)} MB, loading included`);
});

t.test('whatever fails, a value is sent once or its datum is counted as lost', async () => {
  const counts = ['Restarts', 'WorkersReplaced', 'LogLinesLost'] as const;
  const operation = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('count' as const), name: fc.constantFrom(...counts), value: fc.integer({ min: 0, max: 1000 }) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('latency' as const), value: fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.constant(Number.NaN)) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('end' as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('send' as const, 'fail' as const, 'fail-late' as const) }) },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), fc.integer({ min: 0, max: 20 }), (operations, keptMinutes) => {
      const backlog = createBacklog(keptMinutes);
      const recorded = { data: 0, sums: new Map<string, number>(), latencies: [] as number[] };
      const sent = { data: 0, lost: 0, sums: new Map<string, number>(), latencies: 0, least: Infinity, greatest: -Infinity };
      const plus = (sums: Map<string, number>, name: string, value: number) => sums.set(name, (sums.get(name) ?? 0) + value);
      let now = 0;
      let minute = new Set<string>();
      let unsendable = 0;
      let lostAtOnce = 0;
      const record = (name: (typeof counts)[number] | 'ProbeLatency', value: number) => {
        backlog.record(name, value);
        if (Number.isNaN(value)) {
          unsendable++;
          return;
        }
        minute.add(name);
        plus(recorded.sums, name, value);
        if (name === 'ProbeLatency') recorded.latencies.push(value);
      };
      const end = () => {
        now += 60_000;
        backlog.end(new Date(now), gauges);
        recorded.data += minute.size + Object.keys(gauges).length + unsendable;
        minute = new Set();
        lostAtOnce += unsendable;
        unsendable = 0;
      };
      const send = () => {
        const minutes = backlog.take();
        if (minutes.length > keptMinutes) throw new Error(`${minutes.length} minutes`);
        for (const { MetricName, Value, StatisticValues } of requestOf(minutes, { app: 'a', env: 'b' }).MetricData ?? []) {
          if (MetricName === 'MetricsLost') sent.lost += Value ?? 0;
          else sent.data++;
          if (MetricName !== undefined && MetricName !== 'MetricsLost') plus(sent.sums, MetricName, Value ?? StatisticValues?.Sum ?? 0);
          sent.latencies += StatisticValues?.SampleCount ?? 0;
          sent.least = Math.min(sent.least, StatisticValues?.Minimum ?? Infinity);
          sent.greatest = Math.max(sent.greatest, StatisticValues?.Maximum ?? -Infinity);
        }
      };
      for (const op of operations) {
        if (op.do === 'count') record(op.name, op.value);
        else if (op.do === 'latency') record('ProbeLatency', op.value);
        else if (op.do === 'end') end();
        else if (op.do === 'send') send();
        else {
          const taken = backlog.take();
          if (op.do === 'fail-late') end();
          backlog.giveBack(taken);
        }
      }
      end();
      send();
      // What fell out at the last end is told by the next minute.
      end();
      send();
      if (keptMinutes === 0) return true;
      if (sent.data + sent.lost !== recorded.data) return false;
      if (sent.lost > lostAtOnce) return true;
      // Nothing dropped: every sum is whole.
      return (
        [...recorded.sums].every(([name, sum]) => sent.sums.get(name) === sum) &&
        sent.latencies === recorded.latencies.length &&
        (sent.latencies === 0 || (sent.least === Math.min(...recorded.latencies) && sent.greatest === Math.max(...recorded.latencies)))
      );
    }),
    { numRuns: 500 },
  );
});

t.test('the table takes the words of CloudWatch, and every metric has a sentence and an alarm', async (t) => {
  for (const [name, { unit, says, alarm }] of Object.entries(table)) {
    t.match(unit, /^(Seconds|Milliseconds|Bytes|Count|None)$/, name);
    t.match(says, /^[^|]{10,}[^.|]$/, name);
    t.match(alarm, /^(Sum|Average|Maximum) [^|]{10,}$/, name);
  }
});
