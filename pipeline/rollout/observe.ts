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
  readonly refresh: Refresh | undefined;
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
  return async (signal: AbortSignal): Promise<Observation> => {
    const [group, refresh, targets] = await Promise.all([
      readGroup(clients.autoScaling, name, signal),
      refreshId === undefined ? undefined : readRefresh(clients.autoScaling, name, signal, refreshId),
      readTargets(clients.loadBalancing, targetGroupArn, signal),
    ]);
    for (const instance of group.instances) {
      if (instance.version !== version) continue;
      if (isServing({ targets }, instance)) {
        suspects.delete(instance.id);
        said.delete(instance.id);
      } else suspects.add(instance.id);
    }
    // The one that waited longest comes first: a Set keeps the order in which it was filled.
    for (const id of [...suspects].slice(0, consolesAtOnce)) {
      const cause = await readHostCause(clients.ec2, id, signal);
      if (cause !== undefined) said.set(id, cause);
      suspects.delete(id);
      if (group.instances.some((instance) => instance.id === id)) suspects.add(id);
    }
    return { group, refresh, targets, hosts: [...said.values()] };
  };
}
