import type { Instance } from './group.ts';
import type { Observation } from './observe.ts';

/** Whether an instance takes traffic: in service, healthy for the group, and healthy at the balancer. */
export const isServing = ({ targets }: Pick<Observation, 'targets'>, { id, lifecycle, isHealthy }: Instance): boolean =>
  lifecycle === 'InService' && isHealthy && targets.get(id)?.state === 'healthy';
