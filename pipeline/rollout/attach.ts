import { Failure } from '../../contract/causes.ts';
import type { Context } from './context.ts';
import { type Attempt, conclude, type Deployed } from './deploy.ts';
import { follow, type Running } from './follow.ts';
import { servesEverywhere } from './serving.ts';
import { readSituation, readTargets, type Situation } from './situation.ts';
import { readTemplateVersion } from './template.ts';
import { isUnderWay } from './under-way.ts';

/** Attaches to the deploy of this environment and brings it to its end, from anywhere. Throws NOTHING_TO_WAIT_FOR, and what `deploy` does. */
export async function attach(context: Context): Promise<Deployed> {
  const { clients, signal, say, place } = context;
  const startedAtMs = performance.now();
  const situation = await readSituation(clients, place, signal);
  const { infrastructure, refresh, saved, live, group } = situation;
  if (refresh !== undefined && isUnderWay(refresh)) {
    const running = await runningOf(context, situation);
    say({ event: 'note', text: `attached to the ${running.purpose} of release ${running.release.release}` });
    const undoing = refresh.status === 'RollbackInProgress' && { undoing: { by: 'host' as const, reason: refresh.reason ?? 'a rollback that was under way' } };
    return conclude(context, attempt(running, startedAtMs), await follow(context, { ...running, ...undoing }));
  }
  const isOfSaved = refresh === undefined || refresh.version === undefined || refresh.version === saved?.number;
  if (!isOfSaved || saved?.release === undefined) {
    if (refresh === undefined) throw new Failure('NOTHING_TO_WAIT_FOR', place);
    const towards = await readTemplateVersion(clients.ec2, infrastructure.launchTemplateId, String(refresh.version), signal);
    const names = { release: towards?.release?.number ?? 'unknown', reason: refresh.reason ?? `the refresh is ${refresh.status}` };
    const code = refresh.status === 'RollbackSuccessful' ? 'ROLLED_BACK' : refresh.status === 'RollbackFailed' ? 'ROLLBACK_FAILED' : 'DEPLOY_FAILED';
    throw new Failure(code, names);
  }
  const { number: version } = saved;
  if (live?.release === saved.release.number) {
    const targets = await readTargets(clients.loadBalancing, infrastructure.targetGroupArn, signal);
    if (servesEverywhere({ group, targets, version })) return { outcome: 'live', release: live.release, version, seconds: 0 };
  }
  if (group.suspended.includes('Launch')) throw new Failure('NOTHING_TO_WAIT_FOR', place);
  const release = releaseOf(situation, saved.release.number);
  const kind = live === undefined ? 'first' : 'prove';
  const running = { kind, purpose: 'deploy', infrastructure, release, version, refreshId: undefined, live, expectedSeconds: 0 } as const;
  return conclude(context, attempt(running, startedAtMs), await follow(context, running));
}

export const attempt = ({ release, version, purpose }: Running, startedAtMs: number): Attempt => ({ release: release.release, version, purpose, startedAtMs });

/** The refresh that is under way, as a deploy to follow; whoever began it, it says itself whether it is a rollback. Throws DEPLOY_FAILED, RELEASE_MISSING. */
export async function runningOf(context: Context, situation: Situation): Promise<Running> {
  const { infrastructure, refresh, live } = situation;
  const version = refresh?.version ?? 0;
  const towards = await readTemplateVersion(context.clients.ec2, infrastructure.launchTemplateId, String(version), context.signal);
  if (towards?.release === undefined || refresh === undefined) {
    throw new Failure('DEPLOY_FAILED', { release: 'unknown', reason: `a refresh is under way to template version ${version}, which names no release` });
  }
  const purpose = refresh.autoRollback ? 'deploy' : 'rollback';
  const release = releaseOf(situation, towards.release.number);
  return { kind: 'refresh', purpose, infrastructure, release, version, refreshId: refresh.id, live, expectedSeconds: 0 };
}

function releaseOf({ place, releases }: Situation, release: number) {
  const stored = releases.find((each) => each.release === release);
  if (stored === undefined || !('record' in stored)) throw new Failure('RELEASE_MISSING', { ...place, wanted: `release ${release}` });
  return stored;
}
