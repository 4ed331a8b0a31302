import type { InstanceId } from '../../contract/names.ts';
import type { RolloutClients } from '../aws.ts';
import { type HostCause, readHostCause } from './console.ts';
import { type Group, type Refresh, readGroup, readRefresh } from './group.ts';
import { isServing } from './serving.ts';
import { readTargets, type TargetHealth } from './situation.ts';

/** A rollout that is under way. */
export type Rollout = {
  readonly group: string;
  readonly targetGroupArn: string;
  /** Template version that it goes to. */
  readonly version: number;
  /** Undefined for a first deploy, which has no refresh. */
  readonly refreshId: string | undefined;
};

/** One look at a rollout. */
export type Observation = {
  readonly group: Group;
  /** The rollout's own refresh, and the newest of the group: another one where somebody has begun it since. */
  readonly refresh: Refresh | undefined;
  readonly newest: Refresh | undefined;
  readonly targets: ReadonlyMap<string, TargetHealth>;
  /** What instances of the new version that do not serve said so far, those that are gone included. */
  readonly hosts: readonly HostCause[];
};

/** Consoles that one look reads: the calls of a look do not grow with the fleet. */
const consolesAtOnce = 3;

/** Gives a function that looks once; it remembers what hosts said, as an instance that was given up is soon no longer in the group. Throws AWS_*. */
export function createObserver(clients: RolloutClients, { group: name, targetGroupArn, version, refreshId }: Rollout) {
  const said = new Map<InstanceId, HostCause>();
  const suspects = new Set<InstanceId>();
  const served = new Set<InstanceId>();
  return async (signal: AbortSignal): Promise<Observation> => {
    // Before the group: of a refresh that has ended the group is what came of it.
    const newest = await readRefresh(clients.autoScaling, name, signal);
    const own = newest?.id === refreshId ? newest : undefined;
    const [group, refresh, targets] = await Promise.all([
      readGroup(clients.autoScaling, name, signal),
      refreshId === undefined ? undefined : (own ?? readRefresh(clients.autoScaling, name, signal, refreshId)),
      readTargets(clients.loadBalancing, targetGroupArn, signal),
    ]);
    for (const instance of group.instances) {
      if (instance.version !== version) continue;
      const { id, lifecycle } = instance;
      if (isServing({ targets }, instance)) served.add(id);
      // One that served and leaves is no failure: a scale-in, or what undoes the rollout.
      const isFine = isServing({ targets }, instance) || (served.has(id) && lifecycle !== 'InService');
      if (isFine) {
        suspects.delete(id);
        said.delete(id);
      } else suspects.add(id);
    }
    // The one that waited longest comes first: a Set keeps the order in which it was filled.
    for (const id of [...suspects].slice(0, consolesAtOnce)) {
      const cause = await readHostCause(clients.ec2, id, signal);
      if (cause !== undefined) said.set(id, cause);
      suspects.delete(id);
      if (group.instances.some((instance) => instance.id === id)) suspects.add(id);
    }
    return { group, refresh, newest, targets, hosts: [...said.values()] };
  };
}
