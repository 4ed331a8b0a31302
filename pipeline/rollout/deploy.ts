import { Failure } from '../../contract/causes.ts';
import type { AppTimes } from '../../contract/times.ts';
import type { Context } from './context.ts';
import { type Facts, readFacts } from './facts.ts';
import { type Ending, follow } from './follow.ts';
import { createPatience } from './patience.ts';
import { type Difference, differenceOf, type Plan, planDeploy } from './plan.ts';
import { type PreflightOptions, refusal } from './preflight.ts';
import { readSituation, type Situation } from './situation.ts';
import { start, suspendLaunch } from './start.ts';
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

/** Plans, starts and watches. Throws what `deploy` does. */
export async function rollOut(context: Context, facts: Facts, how: How): Promise<Deployed> {
  const startedAtMs = performance.now();
  const { target, infrastructure, live } = facts;
  const made = decide(context, facts, how);
  for (const text of made.notes) context.say({ event: 'note', text });
  const { kind, expectedSeconds } = made;
  context.say({ event: 'plan', kind, purpose: how.purpose, release: target.release, instances: facts.group.desired, expectedSeconds });
  if (kind === 'nothing') return { outcome: 'nothing to do', release: target.release, version: made.version, seconds: 0 };
  const { version, refreshId } = await start(context, facts, made).catch((thrown) => {
    // What was asked for may have begun, whatever came of the answer.
    throw context.signal.aborted ? new Failure('DETACHED', { release: target.release }, { cause: thrown }) : thrown;
  });
  context.say({ event: 'started', release: target.release, version, refresh: refreshId });
  const ending = await follow(context, { kind, purpose: how.purpose, infrastructure, release: target, version, refreshId, live, expectedSeconds });
  return conclude(context, { release: target.release, version, startedAtMs, purpose: how.purpose }, ending);
}

function decide({ app, pace }: Context, facts: Facts, how: How): Plan {
  const refused = refusal(facts, { ...how, app: appTimes(app.gunicorn), margins: pace });
  if (refused !== undefined) throw refused;
  return planDeploy(facts, { ...how, smokeBudgetMs: 1_000 * app.smoke.budgetSeconds, bootMs: pace.bootMs, margins: pace });
}

export const appTimes = (gunicorn: { readonly keepAliveSeconds: number; readonly gracefulTimeoutSeconds: number }): AppTimes => ({
  keepAliveMs: 1_000 * gunicorn.keepAliveSeconds,
  gracefulTimeoutMs: 1_000 * gunicorn.gracefulTimeoutSeconds,
});

export type Attempt = { readonly release: number; readonly version: number; readonly startedAtMs: number; readonly purpose: 'deploy' | 'rollback' };

/** An ending as the verb's result or its cause. What was undone must have come to the live release, wherever Auto Scaling has gone back to. */
export async function conclude(context: Context, { release, version, startedAtMs, purpose }: Attempt, ending: Ending): Promise<Deployed> {
  if (ending.how === 'live') return { outcome: 'live', release, version, seconds: secondsSince(startedAtMs) };
  const { by, reason } = ending;
  if (purpose === 'rollback') throw new Failure('ROLLBACK_FAILED', { release, reason });
  const failed = (code: 'ROLLED_BACK' | 'DEPLOY_FAILED', end: string) =>
    new Failure(by === 'smoke' ? 'SMOKE_FAILED' : code, { release, reason: end === '' ? reason : `${reason}; ${end}` });
  const patiently = createPatience(context, performance.now() + context.pace.patienceMs, (last) => last);
  const situation = await patiently(() => readSituation(context.clients, context.place, context.signal));
  const { live, refresh, group } = situation;
  if (live === undefined) {
    await patiently(() => suspendLaunch(context, group.name));
    throw failed('DEPLOY_FAILED', 'no release was ever live; the group launches nothing more');
  }
  if (live.release === release) throw failed('DEPLOY_FAILED', 'it is the live release, so there is nothing to go back to');
  if (isUnderWay(refresh)) throw failed('DEPLOY_FAILED', 'another refresh is under way since then, and was left alone');
  await goBack(context, situation, live.release, reason);
  throw failed('ROLLED_BACK', by === 'smoke' ? 'it was rolled back' : '');
}

/** Whatever serves now: the live release everywhere. Throws ROLLBACK_FAILED, DETACHED. */
async function goBack(context: Context, situation: Situation, release: number, reason: string): Promise<void> {
  const { clients, signal, say } = context;
  const patiently = createPatience(context, performance.now() + context.pace.patienceMs, (last) => last);
  try {
    const facts = await patiently(() => readFacts(clients, situation, release, signal));
    const how = { purpose: 'rollback', despite: [] } as const;
    if (decide(context, facts, how).kind === 'nothing') return;
    say({ event: 'undo', reason, how: `a new refresh goes to release ${release}` });
    await patiently(() => rollOut(context, facts, how));
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code === 'ROLLBACK_FAILED' || thrown.code === 'DETACHED' || signal.aborted) throw thrown;
    throw new Failure('ROLLBACK_FAILED', { release, reason: thrown.message }, { cause: thrown });
  }
}

export const secondsSince = (startedAtMs: number): number => Math.round((performance.now() - startedAtMs) / 1_000);
