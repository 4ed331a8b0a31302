import { randomBytes, randomUUID } from 'node:crypto';
import type { InstanceId } from '../../contract/names.ts';
import type { Launched } from '../fleet/launcher.ts';
import type { TargetHealth } from '../load-balancer/target-group.ts';
import type { Action, Hook } from './hooks.ts';
import type { Policy } from './policies.ts';
import type { Refresh } from './refresh.ts';

export type LifecycleState =
  | 'Pending'
  | 'Pending:Wait'
  | 'Pending:Proceed'
  | 'InService'
  | 'EnteringStandby'
  | 'Standby'
  | 'Terminating'
  | 'Terminating:Wait'
  | 'Terminating:Proceed';

/** A launch template as a group or a refresh has it: `version` is a number, `$Latest` or `$Default`. */
export type TemplateChoice = { readonly id: string; readonly name: string; readonly version: string };

export type Member = {
  readonly id: InstanceId;
  /** Version is a number. */
  readonly template: TemplateChoice;
  /** Counts the launches of the group. */
  readonly order: number;
  state: LifecycleState;
  health: 'Healthy' | 'Unhealthy';
  /** Why it is unhealthy, as an activity says it. */
  complaint: string;
  isProtected: boolean;
  launched: Launched | undefined;
  /** Settles when it is known whether it could be launched. */
  started: Promise<void>;
  /** It stopped by itself. */
  hasEnded: boolean;
  isRegistered: boolean;
  inServiceAtMs: number;
  /** What its targets said last; undefined before the first answer, or without a target group. */
  targets: readonly (TargetHealth['state'] | undefined)[];
  action: Action | undefined;
};

export type Activity = {
  readonly id: string;
  readonly startedAt: Date;
  readonly cause: string;
  description: string;
  endedAt: Date | undefined;
  status: 'PreInService' | 'InProgress' | 'Successful' | 'Failed' | 'Cancelled';
  message: string | undefined;
  progress: number;
};

export type Tag = { readonly key: string; readonly value: string; readonly propagate: string };

export type Sizes = { min: number; max: number; desired: number };

export type Group = {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: Date;
  readonly sizes: Sizes;
  template: TemplateChoice;
  healthCheckType: string;
  gracePeriodS: number;
  defaultCooldownS: number;
  /** Undefined where the group has none: a refresh then takes the grace period. */
  defaultWarmupS: number | undefined;
  protectsNew: boolean;
  zones: readonly string[];
  subnets: string;
  targetGroups: readonly string[];
  terminationPolicies: readonly string[];
  readonly members: Map<InstanceId, Member>;
  readonly hooks: Map<string, Hook>;
  readonly suspended: Set<string>;
  readonly tags: Map<string, Tag>;
  readonly policies: Map<string, Policy>;
  /** Of the group itself, which are sent to CloudWatch. */
  readonly metrics: Set<string>;
  /** Percentages, where it has a maintenance policy. */
  maintenance: { readonly min: number; readonly max: number } | undefined;
  /** Oldest first. */
  readonly activities: Activity[];
  readonly refreshes: Refresh[];
  /** What was last asked of its capacity, as an activity says it. */
  request: string;
  /** Unhealthy instances that were ended and have no replacement yet. */
  toReplace: number;
  launches: number;
  launchNotBeforeMs: number;
  isDeleting: boolean;
};

const remembered = 1_000;

export const newInstanceId = (): InstanceId => `i-${randomBytes(8).toString('hex')}0` as InstanceId;

/** AWS's sentence about an event: `At 2026-01-02T03:04:05Z an instance was …`. */
export const at = (text: string, now = new Date()): string => `At ${now.toISOString().replace(/\.\d+Z$/, 'Z')} ${text}`;

/** Begins an activity of the history. */
export function begin(group: Group, description: string, cause: string): Activity {
  const activity: Activity = {
    ...{ id: randomUUID(), startedAt: new Date(), description, cause: at(cause) },
    ...{ endedAt: undefined, status: 'InProgress' as const, message: undefined, progress: 0 },
  };
  group.activities.push(activity);
  if (group.activities.length > remembered) group.activities.shift();
  return activity;
}

/** Ends it; what went wrong is also part of its description (EC2 Auto Scaling User Guide, "Retrieve an error message from scaling activities"). */
export function end(activity: Activity, status: 'Successful' | 'Failed' | 'Cancelled', message?: string): void {
  Object.assign(activity, { status, message, progress: 100, endedAt: new Date() });
  if (message !== undefined) activity.description += `.  Status Reason: ${message}`;
}

export const isPending = ({ state }: Pick<Member, 'state'>): boolean => state.startsWith('Pending');
export const isTerminating = ({ state }: Pick<Member, 'state'>): boolean => state.startsWith('Terminating');
