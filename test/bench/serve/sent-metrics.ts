import { CloudWatchClient, GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';
import { type MetricName, metricNamespace } from '../../../contract/metrics.ts';
import { region } from '../../support/cloud.ts';
import type { Stage } from './stage.ts';

/** How many values of a metric the cloud was sent so far. */
export async function sent({ endpoint, place }: Stage, name: MetricName): Promise<number> {
  const client = new CloudWatchClient({ endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
  const { Datapoints = [] } = await client.send(
    new GetMetricStatisticsCommand({
      Namespace: metricNamespace,
      MetricName: name,
      Dimensions: Object.entries({ App: place.app, Env: place.env }).map(([Name, Value]) => ({ Name, Value })),
      StartTime: new Date(Date.now() - 3_600_000),
      EndTime: new Date(Date.now() + 60_000),
      Period: 3_600,
      Statistics: ['SampleCount', 'Sum'],
    }),
  );
  client.destroy();
  return Datapoints.reduce((sum, { SampleCount = 0 }) => sum + SampleCount, 0);
}
