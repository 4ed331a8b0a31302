import { composeUserData } from '../../contract/infrastructure.ts';
import type { ReleaseNumber } from '../../contract/names.ts';
import type { Margins } from '../../contract/times.ts';
import type { UserData } from '../../contract/user-data.ts';
import { type ConfigChange, configChanges } from '../release/history.ts';
import type { Facts } from './facts.ts';
import { servesEverywhere } from './serving.ts';

/** Preferences of an instance refresh (EC2 Auto Scaling API Reference, RefreshPreferences); all are always given. */
export type Preferences = {
  readonly minHealthyPercentage: number;
  readonly maxHealthyPercentage: number;
  readonly warmUpSeconds: number;
  readonly bakeSeconds: number;
  readonly alarms: readonly string[];
  /** Auto Scaling goes back by itself; never from a rollback, which would go back to what it flees. */
  readonly autoRollback: boolean;
  readonly skipMatching: boolean;
};
export type Plan = {
  /**
   * `nothing`: the release is live on today's base. `prove`: it runs, and has yet to pass smoke. `first`: the group has never served.
   * `refresh`: instances are replaced.
   */
  readonly kind: 'nothing' | 'prove' | 'first' | 'refresh';
  readonly userData: UserData;
  /** The template version that boots this already; undefined where one is to be made. */
  readonly version: number | undefined;
  readonly preferences: Preferences;
  /** Seconds that the timers alone need, with `bootMs` for a boot. */
  readonly expectedSeconds: number;
  /** What the operator should know before; each in one sentence. */
  readonly notes: readonly string[];
};
export type PlanOptions = {
  readonly purpose: 'deploy' | 'rollback';
  readonly despite: readonly string[];
  readonly smokeBudgetMs: number;
  /** Of an instance from its launch until its agent is ready, for the estimate alone. */
  readonly bootMs: number;
  readonly margins: Margins;
};

/** Of Parameter Store's GetParameter and GetParameters, for an account (Parameter Store quotas, default throughput). */
export const ssmCallsPerSecond = 40;

/** What a deploy of the target does. Pure. */
export function planDeploy(facts: Facts, options: PlanOptions): Plan {
  const { place, infrastructure, target, group } = facts;
  const userData = composeUserData(place, infrastructure, target.release, target.recordSha256);
  const version = bootsAlready(facts, userData);
  const preferences = preferencesFor(facts, version, options);
  const plan = { kind: kindOf(facts, version), userData, version, preferences, notes: notesFor(facts, options, preferences) } as const;
  return { ...plan, expectedSeconds: expectedSeconds(plan, group.desired, options) };
}

function kindOf({ group, saved, live, target, targets }: Facts, version: number | undefined): Plan['kind'] {
  const isServing = group.instances.some(({ lifecycle }) => lifecycle === 'InService');
  const runs = version !== undefined && version === saved?.number && group.instances.every((instance) => instance.version === version);
  // Nothing that serves could be gone back to; also where an earlier first deploy of the same got no further.
  if (live === undefined && (!isServing || runs)) return 'first';
  if (!runs || !isServing) return 'refresh';
  return live?.release === target.release && servesEverywhere({ group, targets, version }) ? 'nothing' : 'prove';
}

/** The version with the base's data and exactly this user data, among those that the group or its newest refresh names. */
function bootsAlready({ base, saved, towards }: Facts, userData: UserData): number | undefined {
  const text = JSON.stringify(userData);
  return [saved, towards].find((version) => version !== undefined && version.data === base?.data && version.userData === text)?.number;
}

function preferencesFor(
  { infrastructure, group, alarms, refresh }: Facts,
  version: number | undefined,
  { purpose, despite, smokeBudgetMs, margins }: PlanOptions,
): Preferences {
  const left = purpose === 'rollback' ? [] : alarms.filter(({ name, state }) => state === 'OK' || !despite.includes(name));
  const wasStopped = refresh !== undefined && ['Cancelled', 'Failed'].includes(refresh.status);
  return {
    minHealthyPercentage: 100,
    maxHealthyPercentage: maxHealthyPercentage(group.desired),
    warmUpSeconds: Math.ceil(infrastructure.times.warmUpMs / 1_000),
    bakeSeconds: Math.ceil((smokeBudgetMs + margins.bakeMs) / 1_000),
    alarms: left.map(({ name }) => name),
    autoRollback: purpose === 'deploy',
    // Only to go on with what was stopped half-way: an instance at this version is then as good as a new one.
    skipMatching: wasStopped && version !== undefined && refresh.version === version,
  };
}

/** Room for at least one more instance than is desired, so that each is launched before another is terminated. Pure. */
export const maxHealthyPercentage = (desired: number): number => Math.min(200, Math.max(110, Math.ceil((100 * (desired + 1)) / Math.max(1, desired))));

/** Instances that are launched at once. */
export const surgeOf = (desired: number, { maxHealthyPercentage: most }: Pick<Preferences, 'maxHealthyPercentage'>): number =>
  Math.max(1, Math.floor((desired * (most - 100)) / 100));

function expectedSeconds({ kind, preferences }: Pick<Plan, 'kind' | 'preferences'>, desired: number, { smokeBudgetMs, bootMs }: PlanOptions): number {
  const bootSeconds = Math.ceil(bootMs / 1_000);
  if (kind === 'nothing') return 0;
  if (kind === 'prove') return Math.ceil(smokeBudgetMs / 1_000);
  if (kind === 'first') return bootSeconds + Math.ceil(smokeBudgetMs / 1_000);
  return Math.ceil(desired / surgeOf(desired, preferences)) * (bootSeconds + preferences.warmUpSeconds) + preferences.bakeSeconds;
}

function notesFor(facts: Facts, { purpose }: PlanOptions, preferences: Preferences): readonly string[] {
  const { group, alarms, saved, live, target, refresh, towards } = facts;
  const of = (lifecycle: string) => group.instances.filter((instance) => instance.lifecycle === lifecycle).map(({ id }) => id);
  const isProtected = group.instances.filter((instance) => instance.isProtected).map(({ id }) => id);
  const without = alarms.filter(({ name, state }) => state !== 'OK' && !preferences.alarms.includes(name));
  const runs = saved?.release?.number;
  const isUndone = refresh !== undefined && refresh.status !== 'Successful' && towards?.release?.number === target.release;
  const notes: readonly (false | string)[] = [
    isUndone && `the last deploy of release ${target.release} ended as ${refresh.status}${refresh.reason === undefined ? '' : `: ${refresh.reason}`}`,
    of('Standby').length > 0 && `${of('Standby').join(', ')} in Standby: left as it is, with what it runs, and not counted`,
    isProtected.length > 0 && `${isProtected.join(', ')} protected from scale-in: replaced all the same`,
    without.length > 0 &&
      `${without.map(({ name, state }) => `${name} (${state})`).join(', ')} left out: health and smoke decide${purpose === 'rollback' ? ' this rollback' : ''}`,
    group.desired >= group.maxSize && `desired capacity ${group.desired} is the maximum: the refresh goes above it for as long as it runs`,
    group.desired === 1 && 'one instance alone serves: while its replacement starts nothing stands in for it',
    runs !== undefined &&
      live !== undefined &&
      runs !== live.release &&
      runs !== target.release &&
      `release ${runs}, which runs, never passed smoke: a rollback would go to it first, then to ${live.release}`,
  ];
  return notes.filter((note) => note !== false);
}

/** What differs between what runs and the target. Values of config are not in it. */
export type Difference = {
  readonly from: ReleaseNumber | undefined;
  readonly to: ReleaseNumber;
  readonly artifact: { readonly from: string | undefined; readonly to: string };
  readonly commit: { readonly from: string | undefined; readonly to: string };
  readonly config: readonly ConfigChange[];
  readonly base:
    | { readonly from: number | undefined; readonly to: number; readonly imageFrom: string | undefined; readonly imageTo: string | undefined }
    | undefined;
  /** Calls of one instance's boot, how many start at once, and what the account may call in a second. */
  readonly parameterStore: { readonly callsPerBoot: number; readonly instancesAtOnce: number; readonly callsPerSecond: number };
};

export function differenceOf({ releases, saved, base, target, group }: Facts, plan: Plan): Difference {
  const stored = releases.find(({ release }) => release === saved?.release?.number);
  const before = stored !== undefined && 'record' in stored ? stored.record : undefined;
  const { record } = target;
  return {
    from: saved?.release?.number,
    to: target.release,
    artifact: { from: before?.artifact.sha256, to: record.artifact.sha256 },
    commit: { from: before?.commit, to: record.commit },
    config: configChanges(before?.config ?? {}, record.config),
    base: base && (saved?.data === base.data ? undefined : { from: saved?.number, to: base.number, imageFrom: saved?.imageId, imageTo: base.imageId }),
    parameterStore: {
      callsPerBoot: parameterCalls(Object.keys(record.config).length),
      instancesAtOnce: plan.kind === 'first' ? group.desired : surgeOf(group.desired, plan.preferences),
      callsPerSecond: ssmCallsPerSecond,
    },
  };
}

/** Calls of Parameter Store in one boot: the record, and ten config names a call. */
export const parameterCalls = (configNames: number): number => 1 + Math.ceil(configNames / 10);
