import type { HostCause } from './console.ts';
import type { Observation } from './observe.ts';
import { servesEverywhere } from './serving.ts';
import { isUnderWay } from './under-way.ts';

export type Smoke = { readonly state: 'not begun' | 'under way' | 'passed' } | { readonly state: 'failed'; readonly detail: string };
/** Why it is being undone, once that was asked for. */
export type Undoing = { readonly by: 'host' | 'smoke'; readonly reason: string };

export type Course = Observation & {
  /** A rollback is not undone: what it would go back to is what it flees. */
  readonly purpose: 'deploy' | 'rollback';
  readonly version: number;
  /** Undefined where it has none: a first deploy, or what only has to be proven. */
  readonly refreshId: string | undefined;
  readonly smoke: Smoke;
  readonly undoing: Undoing | undefined;
  readonly isLate: boolean;
};

export type Verdict =
  | { readonly do: 'wait' | 'smoke' }
  | ({ readonly do: 'undo' } & Undoing)
  | {
      readonly do: 'end';
      /** `over`: it is to be undone, and the refresh has ended. `superseded`: somebody else's deploy has taken over. */
      readonly how: 'proven' | 'rolled back' | 'rollback failed' | 'failed' | 'over' | 'superseded' | 'late';
      readonly reason: string;
    };

const wait = { do: 'wait' } as const;
const end = (how: (Verdict & { do: 'end' })['how'], reason: string): Verdict => ({ do: 'end', how, reason });

/** What ends a deploy, or is to be done next. Pure. */
export function judge(course: Course): Verdict {
  const { refreshId, undoing, smoke, isLate } = course;
  const refresh = refreshId === undefined ? undefined : course.refresh;
  const reason = undoing?.reason ?? refresh?.reason ?? '';
  switch (refresh?.status) {
    case 'RollbackSuccessful':
      return end('rolled back', reason);
    case 'RollbackFailed':
      return end('rollback failed', reason);
    case 'Failed':
    case 'Cancelled':
      return end('failed', `the refresh is ${refresh.status}${reason === '' ? '' : `: ${reason}`}`);
  }
  const other = supersededBy(course);
  if (other !== undefined) return end('superseded', undoing === undefined ? other : `${undoing.reason}; ${other}`);
  if (undoing !== undefined && refresh?.status === 'Successful') return end('over', undoing.reason);
  if (isLate) return end('late', reason);
  if (undoing !== undefined || refresh?.status === 'RollbackInProgress' || refresh?.status === 'Cancelling') return wait;
  const bad = condemned(course.hosts);
  if (bad !== undefined) return undo(course, { by: 'host', reason: bad });
  const isComplete = refresh === undefined ? servesEverywhere(course) : refresh.status === 'Baking' || refresh.status === 'Successful';
  if (!isComplete || smoke.state === 'under way') return wait;
  if (smoke.state === 'not begun') return { do: 'smoke' };
  if (smoke.state === 'failed') return undo(course, { by: 'smoke', reason: smoke.detail });
  const isOver = refresh === undefined || refresh.status === 'Successful';
  return isOver && servesEverywhere(course) ? end('proven', '') : wait;
}

const undo = ({ purpose, refresh, refreshId }: Course, why: Undoing): Verdict => {
  if (purpose === 'rollback' && refreshId !== undefined) return end('rollback failed', why.reason);
  return refreshId !== undefined && refresh?.status === 'Successful' ? end('over', why.reason) : { do: 'undo', ...why };
};

/** Whose deploy this one has become, if the group no longer goes where it went. */
function supersededBy({ group, refresh, newest, refreshId, version }: Course): string | undefined {
  const towards = newest?.version === undefined ? 'another configuration' : `template version ${newest.version}`;
  const began = `a refresh to ${towards}, which was begun meanwhile, has taken over`;
  if (refreshId !== undefined) return refresh !== undefined && newest !== undefined && newest.id !== refresh.id ? began : undefined;
  if (isUnderWay(newest)) return began;
  if (group.version !== String(version)) return `the group was given template version ${group.version} meanwhile`;
  const others = group.instances.filter((instance) => instance.version !== version);
  const isFull = others.length === group.instances.length && others.length >= Math.max(1, group.desired);
  return isFull && others.every(({ lifecycle }) => lifecycle === 'InService') ? 'instances of another deploy fill the group: deploy it again' : undefined;
}

/** One permanent cause on one host is enough, transient ones must have come to two: what passes on one may be that one's. */
function condemned(hosts: readonly HostCause[]): string | undefined {
  const permanent = hosts.find(({ kind }) => kind === 'permanent');
  const [first, second] = hosts;
  const found = permanent ?? (second === undefined ? undefined : first);
  return found && `${found.instance}: ${found.cause}: ${found.line.replace(/\.$/, '')}`;
}
