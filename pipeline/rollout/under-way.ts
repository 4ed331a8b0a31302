import type { Refresh } from './group.ts';

/** The statuses that end a refresh (EC2 Auto Scaling API Reference, InstanceRefresh); one that is unknown has not ended. */
const ends: ReadonlySet<string> = new Set(['Successful', 'Failed', 'Cancelled', 'RollbackSuccessful', 'RollbackFailed']);
export const isUnderWay = (refresh: Refresh | undefined): boolean => refresh !== undefined && !ends.has(refresh.status);
