import type { HostCause } from './console.ts';
import type { Observation } from './observe.ts';
import { isServing } from './serving.ts';

export type Smoke = { readonly state: 'not begun' | 'under way' | 'passed' } | { readonly state: 'failed'; readonly detail: string };
/** Why it is being undone, once that was asked for. */
export type Undoing = { readonly by: 'host' | 'smoke'; readonly reason: string };

export type Course = Observation & { readonly version: number; readonly smoke: Smoke; readonly undoing: Undoing | undefined; readonly isLate: boolean };

export type Verdict =
  | { readonly do: 'wait' | 'smoke' }
  | ({ readonly do: 'undo' } & Undoing)
  | { readonly do: 'end'; readonly how: 'proven' | 'rolled back' | 'rollback failed' | 'failed' | 'late'; readonly reason: string };

const wait = { do: 'wait' } as const;

/** What ends a deploy, or is to be done next. Pure. */
export function judge(course: Course): Verdict {
  const { refresh, undoing, smoke, isLate } = course;
  const reason = undoing?.reason ?? refresh?.reason ?? '';
  switch (refresh?.status) {
    case 'RollbackSuccessful':
      return { do: 'end', how: 'rolled back', reason };
    case 'RollbackFailed':
      return { do: 'end', how: 'rollback failed', reason };
    case 'Failed':
    case 'Cancelled':
      return { do: 'end', how: 'failed', reason: `the refresh is ${refresh.status}${reason === '' ? '' : `: ${reason}`}` };
  }
  if (isLate) return { do: 'end', how: 'late', reason };
  if (undoing !== undefined || refresh?.status === 'RollbackInProgress' || refresh?.status === 'Cancelling') return wait;
  const bad = condemned(course.hosts);
  if (bad !== undefined) return { do: 'undo', by: 'host', reason: bad };
  const isComplete = refresh === undefined ? servesEverywhere(course) : refresh.status === 'Baking' || refresh.status === 'Successful';
  if (!isComplete || smoke.state === 'under way') return wait;
  if (smoke.state === 'not begun') return { do: 'smoke' };
  if (smoke.state === 'failed') return { do: 'undo', by: 'smoke', reason: smoke.detail };
  const isOver = refresh === undefined || refresh.status === 'Successful';
  return isOver && servesEverywhere(course) ? { do: 'end', how: 'proven', reason: '' } : wait;
}

/** One permanent cause on one host is enough, transient ones must have come to two: what passes on one may be that one's. */
function condemned(hosts: readonly HostCause[]): string | undefined {
  const permanent = hosts.find(({ kind }) => kind === 'permanent');
  const [first, second] = hosts;
  const found = permanent ?? (second === undefined ? undefined : first);
  return found && `${found.instance}: ${found.cause}: ${found.line}`;
}

/** Whether as many instances as are desired serve, and each of them this version; those in Standby are not counted. */
export function servesEverywhere({ group, targets, version }: Pick<Course, 'group' | 'targets' | 'version'>): boolean {
  const inService = group.instances.filter(({ lifecycle }) => lifecycle === 'InService');
  return inService.length >= Math.max(1, group.desired) && inService.every((instance) => instance.version === version && isServing({ targets }, instance));
}
