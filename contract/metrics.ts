import type { CauseCode } from './causes.ts';
import type { BootPhase } from './events.ts';

/**
 * Every metric that an agent sends to CloudWatch, once; `docs/metrics.md` is generated from here. `unit` is CloudWatch's StandardUnit.
 * Over a minute a `count` is summed, the values of a `statistics` become count, sum, least and greatest, and a `gauge` is read at the end.
 */
export type Metric = {
  readonly unit: 'Seconds' | 'Milliseconds' | 'Bytes' | 'Count' | 'None';
  readonly kind: 'count' | 'statistics' | 'gauge';
  readonly says: string;
  readonly alarm: string;
  /** Beside App and Env. `alsoWithout`: each value counts once with it and once without. */
  readonly dimension?: { readonly name: 'Phase' | 'Cause'; readonly alsoWithout: boolean };
};
const count = (says: string, alarm: string) => ({ unit: 'Count', kind: 'count', says, alarm }) as const;
const statistics = <U extends Metric['unit']>(unit: U, says: string, alarm: string) => ({ unit, kind: 'statistics', says, alarm }) as const;
const gauge = <U extends Metric['unit']>(unit: U, says: string, alarm: string) => ({ unit, kind: 'gauge', says, alarm }) as const;

export const metricNamespace = 'Pinion';

export const metrics = {
  BootSeconds: {
    ...statistics(
      'Seconds',
      'how long a phase of a boot took; `total` is from the start of the agent to its first ready',
      'Maximum of `total` near the boot budget: a larger release, or a slower start, will not come up',
    ),
    dimension: { name: 'Phase', alsoWithout: false },
  },
  BootFailures: {
    ...count('boots that ended without a release to serve; sent at once', 'Sum above 0; the datum with the dimension says why'),
    dimension: { name: 'Cause', alsoWithout: true },
  },
  Ready: gauge('None', '1 while `/readyz` answers 200, else 0', 'Average below 1 for longer than a start takes: that part of the instances does not serve'),
  Restarts: count('starts of gunicorn after the first', 'Sum above 0: the app ends by itself, and its last lines are in the log'),
  WorkersReplaced: count('workers that gunicorn replaced', 'Sum above 0: workers crash or are killed'),
  OomKills: count('processes of the app that the kernel ended for want of memory', 'Sum above 0: the app needs more memory, or fewer workers'),
  ProbeLatency: statistics(
    'Milliseconds',
    'time to the whole answer of the health path, for each probe that was answered',
    'Maximum near the probe timeout: the next step is unready',
  ),
  DrainSeconds: statistics('Seconds', 'from the order to stop until gunicorn had ended', 'Maximum near the stop timeout: requests will be cut off'),
  AgentMemory: gauge('Bytes', 'resident memory of the agent process', 'Maximum that grows from day to day'),
  MetricsLost: count(
    'data that were never sent: CloudWatch took none for longer than they are kept, or they were no finite number',
    'Sum above 0: the other metrics have a gap before it',
  ),
  LogLinesLost: count('lines dropped because the log did not take them in time', 'Sum above 0: the log has a gap'),
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;
type OfKind<Kind extends Metric['kind']> = { [Name in MetricName]: (typeof metrics)[Name]['kind'] extends Kind ? Name : never }[MetricName];
export type GaugeName = OfKind<'gauge'>;
/** What is recorded when it happens; MetricsLost the sender says of itself. */
export type RecordedName = Exclude<MetricName, GaugeName | 'MetricsLost'>;
/** The values of the dimensions beside App and Env. */
export type DimensionValues = { readonly BootSeconds: BootPhase | 'total'; readonly BootFailures: CauseCode };
