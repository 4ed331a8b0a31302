import { setTimeout as pause } from 'node:timers/promises';
import { Failure } from '../../contract/causes.ts';
import { attempt, runningOf } from './attach.ts';
import type { Context } from './context.ts';
import { conclude, type Deployed, rollOut, secondsSince } from './deploy.ts';
import { readFacts } from './facts.ts';
import { follow } from './follow.ts';
import { labelled, readSituation, type Situation } from './situation.ts';
import { rollBackRefresh } from './start.ts';
import { isUnderWay } from './under-way.ts';

/**
 * Goes back: undoes the refresh that runs, else deploys the release that was live last, or `to`. A rollback that is under way is watched and not
 * undone. Throws NOTHING_LIVE, RELEASE_MISSING, and what `deploy` does.
 */
export async function rollback(context: Context, to: number | undefined): Promise<Deployed> {
  const { clients, place, pace, say, signal } = context;
  const startedAtMs = performance.now();
  let back = to;
  let undone: string | undefined;
  for (;;) {
    const situation = await readSituation(clients, place, signal);
    const { refresh, group, saved } = situation;
    back ??= wayBack(situation);
    if (refresh === undefined || !isUnderWay(refresh)) {
      if (undone === undefined) say({ event: 'note', text: `goes back to ${describe(situation, back)}` });
      const done = await rollOut(context, await readFacts(clients, situation, back, signal), { purpose: 'rollback', despite: [] });
      return undone !== undefined ? { ...done, outcome: 'live', seconds: secondsSince(startedAtMs) } : done;
    }
    if (undone !== undefined && refresh.id !== undone) {
      throw new Failure('ROLLBACK_FAILED', { release: back, reason: 'one refresh was undone, another is under way since then and was left alone' });
    }
    if (refresh.status === 'Cancelling') {
      if (secondsSince(startedAtMs) * 1_000 > pace.patienceMs) throw new Failure('DEPLOY_TIMEOUT', { release: back, seconds: secondsSince(startedAtMs) });
      say({ event: 'note', text: 'waits for the refresh that is being cancelled' });
      await pause(pace.pollMs, undefined, { signal });
      continue;
    }
    const running = await runningOf(context, situation);
    if (running.purpose === 'rollback' && (to === undefined || running.release.release === to)) {
      say({ event: 'note', text: `a rollback to ${describe(situation, running.release.release)} is under way: watches it` });
      return conclude(context, attempt(running, startedAtMs), await follow(context, running));
    }
    // Before anything is undone: what it is to lead to must be there.
    const { targetProblem } = await readFacts(clients, situation, back, signal);
    if (targetProblem !== undefined) throw new Failure('RELEASE_UNBOOTABLE', { release: back, problem: targetProblem });
    const where = saved?.release === undefined ? `template version ${group.version}` : describe(situation, saved.release.number);
    say({ event: 'note', text: `undoes the refresh that is under way: goes back to ${where}` });
    const asked = refresh.status === 'RollbackInProgress' ? 'asked' : await rollBackRefresh(context, group.name);
    if (asked === 'irreversible') {
      const reason = `Auto Scaling cannot undo the refresh that is under way: the group launches template version ${group.version}`;
      throw new Failure('ROLLBACK_FAILED', { release: running.release.release, reason });
    }
    undone = refresh.id;
    // It ended meanwhile: then there is nothing to undo, and a deploy goes back.
    if (asked === 'over') await pause(pace.pollMs, undefined, { signal });
    else await follow(context, { ...running, purpose: 'deploy', undoing: { by: 'host', reason: 'pinion rollback' } });
  }
}

/** The release that was live last: what is live now, unless that is what serves, and nothing went wrong since. */
function wayBack({ place, releases, live, saved, refresh, group }: Situation): number {
  const isSettled = refresh === undefined || refresh.status === 'Successful' || refresh.status === 'RollbackSuccessful';
  const isAlone = group.instances.every(({ version }) => version === saved?.number);
  if (live !== undefined && !(isSettled && isAlone && live.release === saved?.release?.number)) return live.release;
  const previous = labelled(releases, 'previous');
  if (previous === undefined) throw new Failure('NOTHING_LIVE', place);
  return previous.release;
}

function describe({ releases }: Situation, release: number): string {
  const stored = releases.find((each) => each.release === release);
  return stored !== undefined && 'record' in stored ? `release ${release} (commit ${stored.record.commit}, ${stored.record.createdAt})` : `release ${release}`;
}
