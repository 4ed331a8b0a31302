import {
  type AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  type InstanceRefresh as SdkRefresh,
} from '@aws-sdk/client-auto-scaling';
import { Failure } from '../../contract/causes.ts';
import type { InstanceId } from '../../contract/names.ts';
import { ask } from '../aws.ts';

/** An instance as the group has it. */
export type Instance = {
  readonly id: InstanceId;
  /** Such as `Pending:Wait` or `InService` (EC2 Auto Scaling User Guide: instance lifecycle). */
  readonly lifecycle: string;
  readonly isHealthy: boolean;
  /** Version of the group's template that it was launched from; undefined for another template. */
  readonly version: number | undefined;
  readonly isProtected: boolean;
};
export type Group = {
  readonly name: string;
  readonly minSize: number;
  readonly maxSize: number;
  readonly desired: number;
  readonly templateId: string | undefined;
  /** A number, `$Latest` or `$Default`. */
  readonly version: string;
  readonly suspended: readonly string[];
  readonly targetGroups: readonly string[];
  readonly healthCheckType: string;
  readonly instances: readonly Instance[];
};

/** The group, with all its instances. Throws GROUP_MISSING, AWS_*. */
export async function readGroup(autoScaling: AutoScalingClient, name: string, signal: AbortSignal): Promise<Group> {
  const command = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] });
  const answer = await ask('DescribeAutoScalingGroups', name, () => autoScaling.send(command, { abortSignal: signal }));
  const found = answer.AutoScalingGroups?.find((group) => group.AutoScalingGroupName === name);
  if (found === undefined) throw new Failure('GROUP_MISSING', { group: name });
  const template = found.LaunchTemplate ?? found.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification;
  return {
    name,
    minSize: found.MinSize ?? 0,
    maxSize: found.MaxSize ?? 0,
    desired: found.DesiredCapacity ?? 0,
    templateId: found.MixedInstancesPolicy === undefined ? template?.LaunchTemplateId : undefined,
    version: template?.Version ?? '$Default',
    suspended: (found.SuspendedProcesses ?? []).map(({ ProcessName: process = '' }) => process),
    targetGroups: found.TargetGroupARNs ?? [],
    healthCheckType: found.HealthCheckType ?? 'EC2',
    instances: (found.Instances ?? []).map((instance) => ({
      id: (instance.InstanceId ?? '') as InstanceId,
      lifecycle: instance.LifecycleState ?? '',
      isHealthy: instance.HealthStatus === 'Healthy',
      version: instance.LaunchTemplate?.LaunchTemplateId === template?.LaunchTemplateId ? numberOf(instance.LaunchTemplate?.Version) : undefined,
      isProtected: instance.ProtectedFromScaleIn ?? false,
    })),
  };
}

/** An instance refresh; `status` is Auto Scaling's word, also one that this version does not know. */
export type Refresh = {
  readonly id: string;
  readonly status: string;
  readonly reason: string | undefined;
  readonly percentage: number;
  readonly instancesToUpdate: number;
  /** Version of the desired configuration; undefined for one that has none, or not a number. */
  readonly version: number | undefined;
  /** Whether it goes back by itself: every deploy does, and no rollback. */
  readonly autoRollback: boolean;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
};

/** The newest refresh of the group, or the one of this id; undefined where there is none. Throws GROUP_MISSING, AWS_*. */
export async function readRefresh(autoScaling: AutoScalingClient, group: string, signal: AbortSignal, id?: string): Promise<Refresh | undefined> {
  const which = id === undefined ? { MaxRecords: 1 } : { InstanceRefreshIds: [id] };
  const command = new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: group, ...which });
  const answer = await ask('DescribeInstanceRefreshes', group, () => autoScaling.send(command, { abortSignal: signal })).catch((thrown) => {
    throw /name not found/.test(thrown?.cause?.message) ? new Failure('GROUP_MISSING', { group }, { cause: thrown }) : thrown;
  });
  const [newest] = answer.InstanceRefreshes ?? [];
  return newest && refreshOf(newest);
}

const refreshOf = (refresh: SdkRefresh): Refresh => ({
  id: refresh.InstanceRefreshId ?? '',
  status: refresh.Status ?? '',
  // It stands inside our sentences.
  reason: (refresh.RollbackDetails?.RollbackReason ?? refresh.StatusReason)?.replace(/\.$/, ''),
  percentage: refresh.PercentageComplete ?? 0,
  instancesToUpdate: refresh.InstancesToUpdate ?? 0,
  version: numberOf(refresh.DesiredConfiguration?.LaunchTemplate?.Version),
  autoRollback: refresh.Preferences?.AutoRollback ?? false,
  startedAt: refresh.StartTime,
  endedAt: refresh.EndTime,
});

const numberOf = (version: string | undefined): number | undefined => (/^\d+$/.test(version ?? '') ? Number(version) : undefined);
