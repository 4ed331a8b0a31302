import { randomUUID } from 'node:crypto';
import type { Group, TemplateChoice } from './group.ts';
import { type Bounds, remains, type Seat, type Situation } from './plan.ts';

export type Status =
  | 'Pending'
  | 'InProgress'
  | 'Baking'
  | 'Successful'
  | 'Failed'
  | 'Cancelling'
  | 'Cancelled'
  | 'RollbackInProgress'
  | 'RollbackSuccessful'
  | 'RollbackFailed';

export type Preferences = {
  readonly minHealthyPercentage: number;
  readonly maxHealthyPercentage: number | undefined;
  readonly instanceWarmupS: number;
  readonly skipMatching: boolean;
  readonly autoRollback: boolean;
  readonly bakeTimeS: number;
  readonly alarms: readonly string[];
  readonly protectedOnes: Bounds['protectedOnes'];
  readonly standby: Bounds['standby'];
};

type Rollback = {
  readonly reason: string;
  readonly startedAt: Date;
  readonly percentage: number;
  readonly toUpdate: number;
  /** Instances that it has to replace again. */
  readonly deployed: number;
};

export type Refresh = {
  readonly id: string;
  readonly startedAt: Date;
  readonly preferences: Preferences;
  /** As it was asked for. */
  readonly desired: TemplateChoice | undefined;
  /** The same with its number. */
  readonly target: TemplateChoice;
  /** The first launch that is its own. */
  readonly firstOrder: number;
  /** Instances to replace when it began. */
  readonly total: number;
  /** Instances to replace: the old ones, and in a rollback the new ones. */
  outdated: ReadonlySet<string>;
  status: Status;
  reason: string | undefined;
  endedAt: Date | undefined;
  percentage: number;
  toUpdate: number;
  rollback: Rollback | undefined;
  bakeUntilMs: number;
  progressAtMs: number;
  /** Changes with every replacement. */
  progressMark: string;
};

const active: ReadonlySet<Status> = new Set(['Pending', 'InProgress', 'Baking', 'Cancelling', 'RollbackInProgress']);
/** The refresh of the group that has not ended. */
export const activeRefresh = ({ refreshes }: Group): Refresh | undefined => refreshes.findLast(({ status }) => active.has(status));

/** What it allows, while it replaces instances. */
export function boundsOf(refresh: Refresh | undefined): Bounds | undefined {
  if (refresh === undefined || !(refresh.status === 'InProgress' || refresh.status === 'RollbackInProgress')) return undefined;
  return { ...refresh.preferences, direction: refresh.status === 'InProgress' ? 'forward' : 'back' };
}

/** The template that a launch takes now: of the refresh while it goes forward, so that a scale-out boots what it deploys (User Guide, "Desired configuration"). */
export function launchTemplateOf(group: Group): TemplateChoice {
  const refresh = activeRefresh(group);
  const goesForward = refresh?.desired !== undefined && refresh.status !== 'RollbackInProgress' && refresh.status !== 'Cancelling';
  return goesForward ? refresh.target : group.template;
}

type Start = Pick<Refresh, 'preferences' | 'desired' | 'target'>;

/** A new refresh of the group, which is its active one from now on. */
export function startRefresh(group: Group, { preferences, desired, target }: Start, nowMs: number): Refresh {
  const matches = (template: TemplateChoice) => template.id === target.id && template.version === target.version;
  const old = [...group.members.values()].filter(({ state, template }) => !state.startsWith('Terminating') && !(preferences.skipMatching && matches(template)));
  const refresh: Refresh = {
    ...{ id: randomUUID(), startedAt: new Date(), preferences, desired, target, firstOrder: group.launches, total: old.length },
    ...{ outdated: new Set(old.map(({ id }) => id)), status: 'Pending' as const, reason: undefined, endedAt: undefined, percentage: 0, toUpdate: old.length },
    ...{ rollback: undefined, bakeUntilMs: 0, progressAtMs: nowMs, progressMark: '' },
  };
  group.refreshes.push(refresh);
  return refresh;
}

/** Replaces what it deployed; what it left alone stays. */
export function rollBack(group: Group, refresh: Refresh, reason: string, nowMs: number): void {
  const deployed = [...group.members.values()].filter(({ order, state }) => order >= refresh.firstOrder && !state.startsWith('Terminating'));
  const { percentage, toUpdate } = refresh;
  refresh.outdated = new Set(deployed.map(({ id }) => id));
  refresh.rollback = { reason, startedAt: new Date(), percentage, toUpdate, deployed: deployed.length };
  Object.assign(refresh, { status: 'RollbackInProgress', reason, progressAtMs: nowMs, progressMark: '' });
}

export function endRefresh(refresh: Refresh, status: Status, reason?: string): void {
  Object.assign(refresh, { status, reason, endedAt: new Date() });
}

/** A refresh that can't go on: back if it may, else it has failed. */
export function fail(group: Group, refresh: Refresh, reason: string, nowMs: number): void {
  if (refresh.status === 'RollbackInProgress') endRefresh(refresh, 'RollbackFailed', reason);
  else if (refresh.preferences.autoRollback) rollBack(group, refresh, `Automatic rollback: ${reason}`, nowMs);
  else endRefresh(refresh, 'Failed', reason);
}

type Clock = { readonly nowMs: number; readonly secondMs: number; readonly stalledMs: number };

/** Takes the group's active refresh as far as its instances let it. */
export function advance(group: Group, situation: Omit<Situation, 'refresh'>, { nowMs, secondMs, stalledMs }: Clock): void {
  const refresh = activeRefresh(group);
  if (refresh === undefined) return;
  const isMoving = situation.seats.some(({ state }) => state.startsWith('Pending') || state.startsWith('Terminating'));
  if (refresh.status === 'Pending') Object.assign(refresh, { status: 'InProgress', progressAtMs: nowMs });
  else if (refresh.status === 'Cancelling' && !isMoving) endRefresh(refresh, 'Cancelled', refresh.reason);
  else if (refresh.status === 'Baking' && nowMs >= refresh.bakeUntilMs) succeed(group, refresh);
  const bounds = boundsOf(refresh);
  if (bounds === undefined) return;
  count(refresh, situation.seats);
  refresh.reason = remains({ ...situation, refresh: bounds }, bounds);
  if (refresh.reason !== undefined) {
    const mark = markOf(situation.seats);
    if (mark !== refresh.progressMark) Object.assign(refresh, { progressMark: mark, progressAtMs: nowMs });
    if (nowMs - refresh.progressAtMs >= stalledMs) fail(group, refresh, refresh.reason, nowMs);
  } else if (bounds.direction === 'back') {
    endRefresh(refresh, 'RollbackSuccessful', refresh.rollback?.reason);
  } else {
    Object.assign(refresh, { percentage: 100, toUpdate: 0 });
    if (refresh.preferences.bakeTimeS === 0) succeed(group, refresh);
    else Object.assign(refresh, { status: 'Baking', bakeUntilMs: nowMs + refresh.preferences.bakeTimeS * secondMs });
  }
}

/** The group launches the new configuration from now on, and not before. */
function succeed(group: Group, refresh: Refresh): void {
  if (refresh.desired !== undefined) group.template = refresh.desired;
  endRefresh(refresh, 'Successful');
}

/** In a rollback the percentage goes back to zero, and the instances to update stay those that were never updated (API Reference, InstanceRefresh). */
function count(refresh: Refresh, seats: readonly Seat[]): void {
  const { rollback, total } = refresh;
  if (rollback !== undefined) {
    const left = seats.filter(({ isOutdated, state }) => isOutdated && !state.startsWith('Terminating')).length;
    refresh.percentage = rollback.deployed === 0 ? 0 : Math.min(refresh.percentage, Math.floor((rollback.percentage * left) / rollback.deployed));
    return;
  }
  const updated = Math.min(total, seats.filter(({ isOutdated, isReady, order }) => !isOutdated && isReady && order >= refresh.firstOrder).length);
  refresh.toUpdate = total - updated;
  refresh.percentage = total === 0 ? 100 : Math.floor((100 * updated) / total);
}

/** The old that are left and the new that are ready: launches that come to nothing are no progress. */
const markOf = (seats: readonly Seat[]): string => {
  const left = seats.filter(({ isOutdated, state }) => isOutdated && state === 'InService').length;
  return `${left} ${seats.filter(({ isOutdated, isReady }) => !isOutdated && isReady).length}`;
};
