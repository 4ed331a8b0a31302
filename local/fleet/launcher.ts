import type { InstanceId } from '../../contract/names.ts';

/** What the group knows of a machine it launched. */
export type Launched = {
  /** The address that it is registered with at the load balancer. */
  readonly address: string;
  /** `/latest/meta-data/autoscaling/target-lifecycle-state` of its metadata service. */
  setTargetLifecycleState(state: 'InService' | 'Terminated'): void;
  /** Powers it off as EC2 does: SIGTERM, and what is left after `graceMs` is killed. Resolves when nothing of it runs. */
  terminate(): Promise<void>;
  /** Resolves when the machine stopped by itself, or was killed: EC2's status check then fails. */
  readonly ended: Promise<unknown>;
};

export type LaunchOrder = {
  readonly id: InstanceId;
  readonly launchTemplateId: string;
  /** A number: the group has resolved `$Latest` and `$Default`. */
  readonly version: string;
  readonly autoScalingGroup: string;
};

/** EC2 as the group uses it. */
export type Launcher = {
  /** Starts a machine from one version of a template. Throws ServiceError, as RunInstances does, where it can't be launched. */
  launch(order: LaunchOrder): Promise<Launched>;
};
