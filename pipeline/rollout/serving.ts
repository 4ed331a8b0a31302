import type { Group, Instance } from './group.ts';
import type { TargetHealth } from './situation.ts';

type Targets = { readonly targets: ReadonlyMap<string, TargetHealth> };

/** Whether an instance takes traffic: in service, healthy for the group, and healthy at the balancer. */
export const isServing = ({ targets }: Targets, { id, lifecycle, isHealthy }: Instance): boolean =>
  lifecycle === 'InService' && isHealthy && targets.get(id)?.state === 'healthy';

/** Whether as many instances as are desired serve, and each of them this version; those in Standby are not counted. Pure. */
export function servesEverywhere({ group, targets, version }: Targets & { readonly group: Group; readonly version: number }): boolean {
  const inService = group.instances.filter(({ lifecycle }) => lifecycle === 'InService');
  return inService.length >= Math.max(1, group.desired) && inService.every((instance) => instance.version === version && isServing({ targets }, instance));
}
