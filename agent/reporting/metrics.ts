import type { MetricDatum, PutMetricDataCommandInput } from '@aws-sdk/client-cloudwatch';
import { type DimensionValues, type GaugeName, type Metric, type MetricName, metricNamespace, metrics, type RecordedName } from '../../contract/metrics.ts';
import type { ClientLimits } from '../aws-client.ts';
import type { Imds } from '../imds.ts';

type Place = { readonly app: string; readonly env: string };
/** All values of one metric, and of one value of its own dimension, in one minute. */
type Series = { readonly name: MetricName; readonly of: string | undefined } & Record<'count' | 'sum' | 'least' | 'greatest', number>;
type Minute = { readonly at: Date; readonly series: readonly Series[] };
type RecordValue = <Name extends RecordedName>(name: Name, value: number, ...of: Name extends keyof DimensionValues ? [of: DimensionValues[Name]] : []) => void;

const rowOf = (name: MetricName): Metric => metrics[name];

/** What was recorded and is not sent yet: at most `keptMinutes` ended minutes; what falls out is counted in MetricsLost. Pure: it sends nothing itself. */
export function createBacklog(keptMinutes: number) {
  let current = new Map<string, Series>();
  let ended: readonly Minute[] = [];
  let lost = 0;

  const add = (name: MetricName, value: number, of?: string) => {
    const key = `${name} ${of}`;
    const { count, sum, least, greatest } = current.get(key) ?? { count: 0, sum: 0, least: value, greatest: value };
    current.set(key, { name, of, count: count + 1, sum: sum + value, least: Math.min(least, value), greatest: Math.max(greatest, value) });
  };
  const record = (name: MetricName, value: number, of?: string) => {
    // CloudWatch refuses a whole request for one such value.
    if (!Number.isFinite(value)) return void lost++;
    add(name, value, of);
    if (rowOf(name).dimension?.alsoWithout) add(name, value);
  };
  const keep = (minutes: readonly Minute[]) => {
    const dropped = Math.max(0, minutes.length - keptMinutes);
    ended = minutes.slice(dropped);
    for (const { name, sum } of minutes.slice(0, dropped).flatMap(({ series }) => series)) lost += name === 'MetricsLost' ? sum : 1;
  };
  return {
    record: record as RecordValue,
    /** Ends a minute at `at` with these readings. */
    end(at: Date, gauges: Readonly<Record<GaugeName, number>>): void {
      for (const [name, value] of Object.entries(gauges)) record(name as GaugeName, value);
      if (lost > 0) add('MetricsLost', lost);
      lost = 0;
      keep([...ended, { at, series: [...current.values()] }]);
      current = new Map();
    },
    /** The ended minutes, which are the caller's from now on: sent, or given back. */
    take(): readonly Minute[] {
      const taken = ended;
      ended = [];
      return taken;
    },
    giveBack: (minutes: readonly Minute[]): void => keep([...minutes, ...ended]),
  };
}

/** These minutes as one request; each datum keeps the time of its minute. */
export const requestOf = (minutes: readonly Minute[], { app, env }: Place): PutMetricDataCommandInput => ({
  Namespace: metricNamespace,
  MetricData: minutes.flatMap(({ at, series }) =>
    series.map(({ name, of, count, sum, least, greatest }): MetricDatum => {
      const { unit, kind, dimension } = rowOf(name);
      const Dimensions = Object.entries({ App: app, Env: env, ...(dimension !== undefined && of !== undefined && { [dimension.name]: of }) });
      return {
        MetricName: name,
        Dimensions: Dimensions.map(([Name, Value]) => ({ Name, Value })),
        Timestamp: at,
        Unit: unit,
        ...(kind === 'statistics' ? { StatisticValues: { SampleCount: count, Sum: sum, Minimum: least, Maximum: greatest } } : { Value: sum }),
      };
    }),
  ),
});

export type Metrics = {
  /** A value that is no finite number is not sent but counted in MetricsLost. */
  readonly record: RecordValue;
  /** Whose metrics these are. Nothing can be sent before: a boot that fails before it read its user data has no metric. */
  belongTo(place: Place): void;
  /** Ends the minute now and sends it; resolves when it is sent or kept for the next minute. */
  flushNow(): Promise<void>;
  /** Sends what is left within `timeoutMs`, and is silent from then on. */
  close(timeoutMs: number): Promise<void>;
};

type Options = {
  readonly imds: Imds | undefined;
  readonly limits: ClientLimits & { readonly metricsPeriodMs: number; readonly metricsKeptMinutes: number };
  /** The gauges, read at the end of each minute. */
  readonly read: () => Readonly<Record<GaugeName, number>>;
  /** CloudWatch took nothing, and why; once until the reason changes. */
  readonly onTrouble: (detail: string) => void;
  readonly onRecovered: () => void;
};

/**
 * Sends one PutMetricData a period, the first at a random time in it, so that instances that start together do not send together. A request that fails
 * is sent again with the next minute: data may arrive twice if only the answer was lost. Never throws, and keeps no process alive.
 */
export function createMetrics({ imds, limits, read, onTrouble, onRecovered }: Options): Metrics {
  const backlog = createBacklog(limits.metricsKeptMinutes);
  const closing = new AbortController();
  let place: Place | undefined;
  let client: Awaited<ReturnType<typeof loadClient>> | undefined;
  let sending: Promise<void> | undefined;
  let trouble: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  const send = async (to: Place) => {
    const minutes = backlog.take();
    try {
      client ??= await loadClient(imds, limits);
      await client.put(requestOf(minutes, to), closing.signal);
    } catch (thrown) {
      backlog.giveBack(minutes);
      const detail = detailOf(thrown);
      if (detail !== trouble) onTrouble(detail);
      trouble = detail;
      return;
    }
    if (trouble !== undefined) onRecovered();
    trouble = undefined;
  };
  const flush = () => {
    backlog.end(new Date(), read());
    if (place === undefined) return;
    sending ??= send(place).finally(() => {
      sending = undefined;
    });
  };
  const flushNow = async () => {
    while (sending !== undefined) await sending;
    flush();
    await sending;
  };
  const flushAfter = (ms: number) => {
    timer = setTimeout(() => {
      flush();
      flushAfter(limits.metricsPeriodMs);
    }, ms).unref();
  };
  flushAfter(Math.random() * limits.metricsPeriodMs);

  return {
    record: backlog.record,
    belongTo(to) {
      place = to;
    },
    flushNow,
    async close(timeoutMs) {
      clearTimeout(timer);
      const late = Promise.withResolvers<void>();
      const deadline = setTimeout(late.resolve, timeoutMs);
      await Promise.race([flushNow(), late.promise]);
      clearTimeout(deadline);
      closing.abort();
      client?.destroy();
    },
  };
}

/** Loaded at the first request (100 ms, 23 MB), when the agent has long been serving. */
async function loadClient(imds: Imds | undefined, limits: ClientLimits) {
  const [{ CloudWatchClient, PutMetricDataCommand }, { clientOptions, learning }] = await Promise.all([
    import('@aws-sdk/client-cloudwatch'),
    import('../aws-client.ts'),
  ]);
  const client = learning(new CloudWatchClient(clientOptions(imds, limits)));
  return {
    put: (input: PutMetricDataCommandInput, abortSignal: AbortSignal) => client.send(new PutMetricDataCommand(input), { abortSignal }),
    destroy: () => client.destroy(),
  };
}

type SdkError = Error & { readonly code?: string; readonly $metadata?: { httpStatusCode?: number }; readonly $response?: { statusCode?: number } };

/** Status, code, name; not a service's own message, which may quote anything. */
function detailOf(thrown: unknown): string {
  const { name, message, code, $metadata, $response } = thrown as SdkError;
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  return status !== undefined ? `${status} ${name}` : (code ?? `${name}: ${message}`);
}
