import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  PutLifecycleHookCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient, PutMetricAlarmCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { CreateLaunchTemplateCommand, EC2Client } from '@aws-sdk/client-ec2';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import type { Infrastructure } from '../contract/infrastructure.ts';
import { infrastructurePath } from '../contract/names.ts';
import { silent } from '../pipeline/aws.ts';
import type { Place } from '../pipeline/config/parameters.ts';
import { type Cloud, keys, makeInfrastructure, region } from './cloud.ts';

export type EnvironmentOptions = {
  readonly targetGroupArn: string;
  readonly loadBalancerUrl: string;
  readonly times: Infrastructure['times'];
  readonly instances: number;
  readonly maxSize: number;
  readonly alarms: readonly string[];
  readonly securityGroups?: readonly string[];
};

/** What Terraform makes of an environment, beside the bucket: template, group, hooks, alarms, and the document that tells of them. Throws AWS_*. */
export async function makeEnvironment(cloud: Cloud, place: Place, options: EnvironmentOptions): Promise<Infrastructure> {
  const { endpoint, clients } = cloud;
  const given = { endpoint, region, credentials: keys, logger: silent };
  const [autoScaling, cloudWatch, ec2] = [new AutoScalingClient(given), new CloudWatchClient(given), new EC2Client(given)];
  const { appRoleArn: _, ...bare } = await makeInfrastructure(cloud, place, options.loadBalancerUrl);
  const { autoScalingGroup: AutoScalingGroupName, hooks } = bare;
  const { targetGroupArn, times, alarms } = options;

  // Without a release: what boots from it says so and is given up.
  const userData = JSON.stringify({ schemaVersion: 1, ...place, autoScalingGroup: AutoScalingGroupName, hooks, times });
  const template = new CreateLaunchTemplateCommand({
    LaunchTemplateName: AutoScalingGroupName,
    LaunchTemplateData: {
      ...{ ImageId: 'ami-0123456789abcdef0', InstanceType: 't3.small', UserData: Buffer.from(userData).toString('base64') },
      ...(options.securityGroups !== undefined && { SecurityGroupIds: [...options.securityGroups] }),
    },
  });
  const { LaunchTemplate: made } = await ec2.send(template);
  const launchTemplateId = made?.LaunchTemplateId ?? '';
  // Launch is suspended before there is anything to launch.
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName,
      MinSize: 0,
      MaxSize: 0,
      LaunchTemplate: { LaunchTemplateId: launchTemplateId, Version: '1' },
      TargetGroupARNs: [targetGroupArn],
      HealthCheckType: 'ELB',
      HealthCheckGracePeriod: Math.ceil(times.graceMs / 1_000),
      AvailabilityZones: [`${region}a`],
    }),
  );
  await autoScaling.send(new SuspendProcessesCommand({ AutoScalingGroupName, ScalingProcesses: ['Launch'] }));
  for (const [LifecycleHookName, transition, heartbeatMs] of [
    [hooks.launch, 'LAUNCHING', times.launchHeartbeatMs],
    [hooks.terminate, 'TERMINATING', times.terminateHeartbeatMs],
  ] as const) {
    const hook = { AutoScalingGroupName, LifecycleHookName, LifecycleTransition: `autoscaling:EC2_INSTANCE_${transition}` };
    await autoScaling.send(new PutLifecycleHookCommand({ ...hook, HeartbeatTimeout: Math.ceil(heartbeatMs / 1_000), DefaultResult: 'ABANDON' }));
  }
  const size = { MinSize: options.instances, MaxSize: options.maxSize, DesiredCapacity: options.instances };
  await autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName, ...size }));
  for (const AlarmName of alarms) {
    const metric = { Namespace: 'Pinion', MetricName: AlarmName, Statistic: 'Sum', Period: 60, EvaluationPeriods: 1, Threshold: 1 } as const;
    const compared = { ComparisonOperator: 'GreaterThanOrEqualToThreshold', TreatMissingData: 'notBreaching' } as const;
    await cloudWatch.send(new PutMetricAlarmCommand({ AlarmName, ...metric, ...compared }));
    await cloudWatch.send(new SetAlarmStateCommand({ AlarmName, StateValue: 'OK', StateReason: 'new' }));
  }
  const infrastructure: Infrastructure = { ...bare, launchTemplateId, targetGroupArn, times, alarms: [...alarms] };
  const document = { Name: infrastructurePath(place), Value: JSON.stringify(infrastructure), Type: 'String', Overwrite: true } as const;
  await clients.ssm.send(new PutParameterCommand(document));
  for (const client of [autoScaling, cloudWatch, ec2]) client.destroy();
  return infrastructure;
}
