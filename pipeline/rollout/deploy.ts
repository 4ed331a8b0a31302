import { Failure } from '../../contract/causes.ts';
import type { AppTimes } from '../../contract/times.ts';
import type { Context } from './context.ts';
import { type Facts, readFacts } from './facts.ts';
import { type Ending, follow, type Running } from './follow.ts';
import { type Difference, differenceOf, type Plan, planDeploy } from './plan.ts';
import { type PreflightOptions, refusal } from './preflight.ts';
import { labelled, readSituation, type Situation } from './situation.ts';
import { rollBackRefresh, start } from './start.ts';
import { readTemplateVersion } from './template.ts';
import { isUnderWay } from './under-way.ts';

export type DeployOptions = {
  /** Its number; the newest without. */
  readonly release: number | undefined;
  /** Alarms that may be in another state than OK. */
  readonly despite: readonly string[];
};
/** How a deploy ended well. */
export type Deployed = { readonly outcome: 'live' | 'nothing to do'; readonly release: number; readonly version: number | undefined; readonly seconds: number };
export type Planned = { readonly plan: Plan; readonly difference: Difference };

/** What a deploy would do, without doing it. Throws what `deploy` does before it starts anything. */
export async function plan(context: Context, { release, despite }: DeployOptions): Promise<Planned> {
  const facts = await readFacts(context.clients, await readSituation(context.clients, context.place, context.signal), release, context.signal);
  const made = decide(context, facts, { purpose: 'deploy', despite });
  return { plan: made, difference: differenceOf(facts, made) };
}

/**
 * Rolls a release out and watches it until it is live. Throws what preflight refuses (before anything is changed), DEPLOY_BUSY, and for each
 * other ending its cause: ROLLED_BACK, ROLLBACK_FAILED, DEPLOY_FAILED, SMOKE_FAILED, DEPLOY_TIMEOUT, DETACHED.
 */
export async function deploy(context: Context, { release, despite }: DeployOptions): Promise<Deployed> {
  const situation = await readSituation(context.clients, context.place, context.signal);
  return rollOut(context, await readFacts(context.clients, situation, release, context.signal), { purpose: 'deploy', despite });
}

type How = Pick<PreflightOptions, 'purpose' | 'despite'>;

async function rollOut(context: Context, facts: Facts, how: How): Promise<Deployed> {
  const startedAtMs = performance.now();
  const { target } = facts;
  const made = decide(context, facts, how);
  for (const text of made.notes) context.say({ event: 'note', text });
  const { kind, expectedSeconds } = made;
  context.say({ event: 'plan', kind, purpose: how.purpose, release: target.release, instances: facts.group.desired, expectedSeconds });
  if (kind === 'nothing') return { outcome: 'nothing to do', release: target.release, version: made.version, seconds: 0 };
  const { version, refreshId } = await start(context, facts, made);
  context.say({ event: 'started', release: target.release, version, refresh: refreshId });
  const { infrastructure, live } = facts;
  const ending = await follow(context, { kind, infrastructure, release: target, version, refreshId, live, expectedSeconds });
  return conclude(context, { release: target.release, version, startedAtMs, purpose: how.purpose }, ending);
}

function decide({ app, pace }: Context, facts: Facts, how: How): Plan {
  const refused = refusal(facts, { ...how, app: appTimes(app.gunicorn), margins: pace });
  if (refused !== undefined) throw refused;
  return planDeploy(facts, { ...how, smokeBudgetMs: 1_000 * app.smoke.budgetSeconds, margins: pace });
}

export const appTimes = (gunicorn: { readonly keepAliveSeconds: number; readonly gracefulTimeoutSeconds: number }): AppTimes => ({
  keepAliveMs: 1_000 * gunicorn.keepAliveSeconds,
  gracefulTimeoutMs: 1_000 * gunicorn.gracefulTimeoutSeconds,
});

type Attempt = { readonly release: number; readonly version: number; readonly startedAtMs: number; readonly purpose: 'deploy' | 'rollback' };

/** An ending as the verb's result or its cause; what Auto Scaling can no longer undo is undone by a new refresh to the live release. */
async function conclude(context: Context, { release, version, startedAtMs, purpose }: Attempt, ending: Ending): Promise<Deployed> {
  const { how } = ending;
  if (how === 'live') return { outcome: 'live', release, version, seconds: Math.round((performance.now() - startedAtMs) / 1_000) };
  const { by, reason } = ending;
  if (how === 'gone') {
    if (purpose === 'rollback') throw new Failure('ROLLBACK_FAILED', { release, reason });
    const situation = await readSituation(context.clients, context.place, context.signal);
    if (situation.live === undefined) throw new Failure('DEPLOY_FAILED', { release, reason: `${reason}; no release was ever live` });
    context.say({ event: 'undo', reason, how: `the refresh is over: a new one goes to release ${situation.live.release}` });
    await rollOut(context, await readFacts(context.clients, situation, situation.live.release, context.signal), { purpose: 'rollback', despite: [] });
  }
  throw new Failure(by === 'smoke' ? 'SMOKE_FAILED' : 'ROLLED_BACK', { release, reason: by === 'smoke' ? `${reason}; it was rolled back` : reason });
}

/**
 * Goes back: undoes the refresh that runs, else deploys the release that was live last, or `to`. Throws NOTHING_LIVE, RELEASE_MISSING, and
 * what `deploy` does.
 */
export async function rollback(context: Context, to: number | undefined): Promise<Deployed> {
  const startedAtMs = performance.now();
  const situation = await readSituation(context.clients, context.place, context.signal);
  const back = to ?? wayBack(situation);
  const { refresh, group, saved } = situation;
  if (refresh === undefined || !isUnderWay(refresh)) {
    context.say({ event: 'note', text: `goes back to ${describe(situation, back)}` });
    return rollOut(context, await readFacts(context.clients, situation, back, context.signal), { purpose: 'rollback', despite: [] });
  }
  const running = await runningOf(context, situation);
  const where = saved?.release === undefined ? `template version ${group.version}` : describe(situation, saved.release.number);
  context.say({ event: 'note', text: `undoes the refresh that is under way: goes back to ${where}` });
  // It ended meanwhile: then there is nothing to undo, and a deploy goes back.
  if (refresh.status !== 'RollbackInProgress' && (await rollBackRefresh(context, group.name)) === 'gone') return rollback(context, back);
  const ending = await follow(context, { ...running, undoing: { by: 'host', reason: 'pinion rollback' } });
  if (ending.how !== 'undone')
    throw new Failure('ROLLBACK_FAILED', { release: running.release.release, reason: 'the refresh came to its end before it could be undone' });
  if (saved?.release?.number === back)
    return { outcome: 'live', release: back, version: saved.number, seconds: Math.round((performance.now() - startedAtMs) / 1_000) };
  return rollback(context, back);
}

/** The release that was live last: what is live now, unless that is what runs. */
function wayBack({ place, releases, live, saved, refresh }: Situation): number {
  if (live !== undefined && (live.release !== saved?.release?.number || isUnderWay(refresh))) return live.release;
  const previous = labelled(releases, 'previous');
  if (previous === undefined) throw new Failure('NOTHING_LIVE', place);
  return previous.release;
}

function describe({ releases }: Situation, release: number): string {
  const stored = releases.find((each) => each.release === release);
  return stored !== undefined && 'record' in stored ? `release ${release} (commit ${stored.record.commit}, ${stored.record.createdAt})` : `release ${release}`;
}

/** Attaches to the deploy of this environment and brings it to its end, from anywhere. Throws NOTHING_TO_WAIT_FOR, and what `deploy` does. */
export async function attach(context: Context): Promise<Deployed> {
  const startedAtMs = performance.now();
  const situation = await readSituation(context.clients, context.place, context.signal);
  const { refresh, saved, live, group } = situation;
  if (refresh !== undefined && isUnderWay(refresh)) {
    const running = await runningOf(context, situation);
    context.say({ event: 'note', text: `attached to the deploy of release ${running.release.release}` });
    const undoing = refresh.status === 'RollbackInProgress' && { undoing: { by: 'host' as const, reason: refresh.reason ?? 'a rollback that was under way' } };
    return conclude(context, { ...attemptOf(running), startedAtMs }, await follow(context, { ...running, ...undoing }));
  }
  const isOfSaved = refresh === undefined || refresh.version === undefined || refresh.version === saved?.number;
  if (!isOfSaved || saved?.release === undefined) {
    if (refresh === undefined) throw new Failure('NOTHING_TO_WAIT_FOR', context.place);
    const towards = await readTemplateVersion(context.clients.ec2, situation.infrastructure.launchTemplateId, String(refresh.version), context.signal);
    const names = { release: towards?.release?.number ?? 'unknown', reason: refresh.reason ?? `the refresh is ${refresh.status}` };
    throw new Failure(
      refresh.status === 'RollbackSuccessful' ? 'ROLLED_BACK' : refresh.status === 'RollbackFailed' ? 'ROLLBACK_FAILED' : 'DEPLOY_FAILED',
      names,
    );
  }
  if (live?.release === saved.release.number) return { outcome: 'live', release: live.release, version: saved.number, seconds: 0 };
  if (group.suspended.includes('Launch')) throw new Failure('NOTHING_TO_WAIT_FOR', context.place);
  const release = releaseOf(situation, saved.release.number);
  const kind = live === undefined ? 'first' : 'prove';
  const running = { kind, infrastructure: situation.infrastructure, release, version: saved.number, refreshId: undefined, live, expectedSeconds: 0 } as const;
  return conclude(context, { ...attemptOf(running), startedAtMs }, await follow(context, running));
}

const attemptOf = ({ release, version }: Running) => ({ release: release.release, version, purpose: 'deploy' }) as const;

/** The refresh that is under way, as a deploy to follow. */
async function runningOf(context: Context, situation: Situation): Promise<Running> {
  const { infrastructure, refresh, live } = situation;
  const version = refresh?.version ?? 0;
  const towards = await readTemplateVersion(context.clients.ec2, infrastructure.launchTemplateId, String(version), context.signal);
  if (towards?.release === undefined || refresh === undefined) {
    throw new Failure('DEPLOY_FAILED', { release: 'unknown', reason: `a refresh is under way to template version ${version}, which names no release` });
  }
  return { kind: 'refresh', infrastructure, release: releaseOf(situation, towards.release.number), version, refreshId: refresh.id, live, expectedSeconds: 0 };
}

function releaseOf({ place, releases }: Situation, release: number) {
  const stored = releases.find((each) => each.release === release);
  if (stored === undefined || !('record' in stored)) throw new Failure('RELEASE_MISSING', { ...place, wanted: `release ${release}` });
  return stored;
}
