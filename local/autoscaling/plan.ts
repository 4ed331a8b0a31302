import type { LifecycleState } from './group.ts';

/** An instance as a plan sees it. */
export type Seat = {
  readonly id: string;
  readonly state: LifecycleState;
  readonly isHealthy: boolean;
  /** In service, healthy and warm: it counts. */
  readonly isReady: boolean;
  /** The refresh is to replace it. */
  readonly isOutdated: boolean;
  readonly isProtected: boolean;
  /** Of the launch template: a scale-in takes the oldest first. */
  readonly version: number;
  readonly order: number;
};

/** What a refresh allows while it replaces. */
export type Bounds = {
  readonly direction: 'forward' | 'back';
  readonly minHealthyPercentage: number;
  /** Undefined is not 100: without it an instance ends while its replacement starts (RefreshPreferences). */
  readonly maxHealthyPercentage: number | undefined;
  readonly protectedOnes: 'Refresh' | 'Ignore' | 'Wait';
  readonly standby: 'Terminate' | 'Ignore' | 'Wait';
};

export type Situation = {
  readonly desired: number;
  readonly seats: readonly Seat[];
  readonly suspended: ReadonlySet<string>;
  /** While a refresh replaces instances. */
  readonly refresh: Bounds | undefined;
};

export type Reason = 'capacity' | 'refresh' | 'unhealthy';
export type Step =
  | { readonly do: 'launch'; readonly count: number; readonly why: Reason }
  | { readonly do: 'terminate'; readonly id: string; readonly why: Reason };

const pending = ({ state }: Seat) => state.startsWith('Pending');
const inService = ({ state }: Seat) => state === 'InService';

/** The next steps of a group, all of which may begin at once. Pure. */
export function plan(situation: Situation): readonly Step[] {
  const { seats, suspended, refresh } = situation;
  const may = { launch: !suspended.has('Launch'), terminate: !suspended.has('Terminate') };
  const unfit = may.terminate && !suspended.has('ReplaceUnhealthy') ? seats.filter((seat) => (inService(seat) || pending(seat)) && !seat.isHealthy) : [];
  const rest = { ...situation, seats: seats.filter((seat) => !unfit.includes(seat)) };
  const replaces = refresh !== undefined && may.launch && may.terminate && !suspended.has('InstanceRefresh');
  const next = replaces ? planRefresh(rest, refresh) : planCapacity(rest);
  return [
    ...unfit.map(({ id }) => ({ do: 'terminate' as const, id, why: 'unhealthy' as const })),
    ...next.filter((step) => (step.do === 'launch' ? may.launch && step.count > 0 : may.terminate)),
  ];
}

/** A surplus is counted among those in service: one that only starts may never get there. */
function planCapacity({ desired, seats }: Situation): readonly Step[] {
  const serving = seats.filter(inService);
  const surplus = serving.length - desired;
  if (surplus <= 0) return [{ do: 'launch', count: desired - serving.length - seats.filter(pending).length, why: 'capacity' }];
  const leaving = serving.filter(({ isProtected }) => !isProtected).toSorted((a, b) => a.version - b.version || a.order - b.order);
  return leaving.slice(0, surplus).map(({ id }) => ({ do: 'terminate', id, why: 'capacity' }));
}

/** The fewest instances that are ready and the most that are there, by a refresh's percentages. Pure. */
export function limitsOf(
  desired: number,
  { minHealthyPercentage: min, maxHealthyPercentage: max }: Bounds,
): { readonly fewest: number; readonly most: number } {
  const fewest = Math.ceil((desired * min) / 100);
  if (max === undefined && min < 100) return { fewest: Math.min(fewest, Math.max(0, desired - 1)), most: desired };
  // Where no room is left between the two, one more is launched before one ends.
  return { fewest, most: Math.max(Math.floor((desired * (max ?? 100)) / 100), fewest + 1) };
}

function planRefresh({ desired, seats, suspended }: Situation, refresh: Bounds): readonly Step[] {
  const alive = seats.filter((seat) => pending(seat) || inService(seat));
  const undone = refresh.direction === 'back' ? alive.filter((seat) => pending(seat) && seat.isOutdated) : [];
  const standby = refresh.standby === 'Terminate' ? seats.filter(({ state, isOutdated }) => state === 'Standby' && isOutdated) : [];
  const staying = alive.filter((seat) => !undone.includes(seat));
  const outdated = staying.filter((seat) => seat.isOutdated && inService(seat) && (!seat.isProtected || refresh.protectedOnes === 'Refresh'));
  const end = (leaving: readonly Seat[]): readonly Step[] => leaving.map(({ id }) => ({ do: 'terminate', id, why: 'refresh' }));
  const first = [...end(undone), ...end(standby)];
  if (outdated.length === 0) return [...first, ...planCapacity({ desired, seats: staying, suspended, refresh: undefined })];
  const { fewest, most } = limitsOf(desired, refresh);
  const wanted = desired - (staying.length - outdated.length);
  const spare = staying.filter(({ isReady }) => isReady).length - fewest;
  const leaving = outdated.toSorted((a, b) => a.order - b.order).slice(0, Math.max(0, spare));
  // What ends no longer counts: its replacement starts in the same step.
  const room = Math.min(wanted, most - staying.length + leaving.length);
  return [...first, ...end(leaving), { do: 'launch', count: room, why: 'refresh' }];
}

/** What a refresh still waits for, as AWS says it; undefined when every instance is replaced and ready. Pure. */
export function remains({ desired, seats }: Situation, refresh: Bounds): string | undefined {
  const missing = desired - seats.filter(inService).length;
  // New ones first: the old ones wait for them.
  const inOrder = seats.toSorted((a, b) => Number(a.isOutdated) - Number(b.isOutdated));
  const [first] = inOrder.flatMap((seat) => blocker(seat, refresh) ?? []).concat(missing > 0 ? `${missing} instances are to be launched.` : []);
  return first && `Waiting for remaining instances to be available. For example: ${first}`;
}

function blocker(seat: Seat, { standby, protectedOnes }: Bounds): string | undefined {
  const { id, state, isOutdated, isProtected, isReady } = seat;
  if (!isOutdated) {
    if (pending(seat)) return `${id} is ${state}.`;
    return inService(seat) && !isReady ? `${id} is warming up, or has insufficient data to evaluate its health.` : undefined;
  }
  if (state.endsWith('Standby')) return standby === 'Ignore' ? undefined : `${id} is in standby. Return it to service to continue.`;
  if (!inService(seat)) return `${id} is ${state}.`;
  if (!isProtected || protectedOnes === 'Refresh') return `${id} is to be replaced.`;
  return protectedOnes === 'Wait' ? `${id} is protected. Remove instance scale-in protection to continue.` : undefined;
}
