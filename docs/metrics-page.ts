import { type Metric, metricNamespace, metrics } from '../contract/metrics.ts';

/** The text of `docs/metrics.md`: every metric with unit, dimensions and what to watch. */
export const metricsPage = (): string => `${[intro, table, outro].join('\n\n')}\n`;

const intro = `# Metrics

<!-- Generated from contract/metrics.ts by \`npm run docs\`: do not edit. -->

Every agent sends these to CloudWatch in the namespace \`${metricNamespace}\`, with the dimensions \`App\` and \`Env\`. No dimension names an instance, so the number
of metrics does not grow with the group: the Average of \`Ready\` is the part of the instances that is ready, the Sum of \`Restarts\` is that of all.

One request a minute and instance, the first at a random time, so that instances that start together do not send together. How a metric reads a minute:

- **count**: the sum of the minute; nothing is sent when nothing happened. Every alarm needs \`treat_missing_data = "notBreaching"\`.
- **statistics**: count, sum, least and greatest of the minute's values. CloudWatch gives Average, Minimum, Maximum, Sum and SampleCount of it, but no percentiles.
- **gauge**: read at the end of the minute.`;

const rows = Object.entries<Metric>(metrics).map(([name, { unit, kind, dimension, says, alarm }]) => {
  const own = dimension === undefined ? '' : `${dimension.alsoWithout ? 'none, and ' : ''}\`${dimension.name}\``;
  return `| \`${name}\` | ${unit} | ${kind} | ${own} | ${says} | ${alarm} |`;
});

const table = ['| metric | unit | a minute is a | further dimension | what it is | when to be alarmed |', '|---|---|---|---|---|---|', ...rows].join('\n');

const outro = `\`Phase\` is a phase of the boot as the log names it, or \`total\`; \`Cause\` is a code of [causes](causes.md).

Losing metrics never harms serving. What CloudWatch does not take is kept for the next minute, each datum with the time of its own minute; after fifteen minutes the
oldest is dropped and counted in \`MetricsLost\`, which is sent when CloudWatch takes data again. The log says once why, and once that it is over. A request whose
answer was lost is sent again, so a minute may count twice. An instance that ends sends what is left, within a bound. A boot that fails before its user data was
read has no metric, because its app is not known: its cause is in the log and on the console.

The role of the instance needs \`cloudwatch:PutMetricData\`, which a policy can limit to the namespace with \`cloudwatch:namespace\`.`;
