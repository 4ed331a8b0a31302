import { type Metric, metricNamespace, metrics } from '../contract/metrics.ts';

/** The text of `terraform/environment/metrics.json`: the names of the agent's metrics, for alarms and dashboard. */
export const terraformMetrics = (): string => `${JSON.stringify({ '//': note, namespace: metricNamespace, metrics: Object.fromEntries(rows) }, null, 2)}\n`;

const note = 'Generated from contract/metrics.ts by `npm run docs`: do not edit.';

/** `search` is the dimension without which a metric is never sent. */
const rows = Object.entries<Metric>(metrics).map(([name, { unit, kind, dimension }]) => {
  const search = dimension === undefined || dimension.alsoWithout ? '' : dimension.name;
  return [name, { name, unit, kind, search }] as const;
});
