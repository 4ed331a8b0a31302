import { setTimeout as pause } from 'node:timers/promises';
import { Failure } from '../../contract/causes.ts';
import type { Infrastructure } from '../../contract/infrastructure.ts';
import type { Released } from '../release/read.ts';
import type { Context } from './context.ts';
import { type Group, readGroup } from './group.ts';
import { markLive } from './live.ts';
import { createObserver, type Observation } from './observe.ts';
import { createPatience } from './patience.ts';
import { isServing } from './serving.ts';
import { type SmokeOrder, smoke } from './smoke.ts';
import { rollBackRefresh, suspendLaunch } from './start.ts';
import { judge, type Smoke, type Undoing, type Verdict } from './verdict.ts';

/** A deploy that was started, here or elsewhere. */
export type Running = {
  readonly kind: 'first' | 'prove' | 'refresh';
  readonly purpose: 'deploy' | 'rollback';
  readonly infrastructure: Infrastructure;
  readonly release: Released;
  readonly version: number;
  readonly refreshId: string | undefined;
  readonly live: Released | undefined;
  readonly expectedSeconds: number;
  /** It is being undone already. */
  readonly undoing?: Undoing;
};

/** How a deploy ended that did not throw: proven and live, or undone; `over` when it is to be undone and no refresh is there to do it. */
export type Ending = { readonly how: 'live' } | { readonly how: 'undone' | 'over'; readonly by: 'host' | 'smoke' | 'alarm'; readonly reason: string };

/**
 * Watches a deploy to its end: undoes it for a host that cannot boot it or for failed smoke, and marks it live once it is proven. All of its
 * state is in AWS, so that any number may follow. Throws ROLLBACK_FAILED, DEPLOY_FAILED, DEPLOY_TIMEOUT, DETACHED, AWS_DENIED, CREDENTIALS_UNAVAILABLE.
 */
export async function follow(context: Context, running: Running): Promise<Ending> {
  const { release } = running.release;
  try {
    return await followed(context, running);
  } catch (thrown) {
    if (context.signal.aborted) throw new Failure('DETACHED', { release }, { cause: thrown });
    throw thrown;
  }
}

async function followed(context: Context, running: Running): Promise<Ending> {
  const { pace, say, signal } = context;
  const { infrastructure, purpose, version, refreshId, kind } = running;
  const { release } = running.release;
  const rollout = { group: infrastructure.autoScalingGroup, targetGroupArn: infrastructure.targetGroupArn, version, refreshId };
  const observe = createObserver(context.clients, rollout);
  const lateAtMs = performance.now() + 3_000 * running.expectedSeconds + pace.patienceMs;
  const patiently = createPatience(context, lateAtMs, () => late(release, lateAtMs));
  const told = new Set<string>();
  let smoked: Smoke = { state: 'not begun' };
  let undoing = running.undoing;
  for (;;) {
    const seen = await patiently(() => observe(signal));
    say(progressOf(seen, version));
    for (const host of seen.hosts) {
      const line = `${host.instance} ${host.cause}`;
      if (!told.has(line)) say({ event: 'host', ...host });
      told.add(line);
    }
    const verdict: Verdict = judge({ ...seen, purpose, version, refreshId, smoke: smoked, undoing, isLate: performance.now() > lateAtMs });
    switch (verdict.do) {
      case 'wait':
        await pause(pace.pollMs, undefined, { signal });
        break;
      case 'smoke':
        smoked = { state: 'under way' };
        void smokeOnce(context, running, seen).then((result) => {
          smoked = result;
        });
        break;
      case 'undo': {
        const { by, reason } = verdict;
        undoing = { by, reason };
        if (kind === 'first') {
          say({ event: 'undo', reason, how: 'Launch is suspended again: nothing was live before' });
          await patiently(() => suspendLaunch(context, rollout.group));
          throw new Failure(by === 'smoke' ? 'SMOKE_FAILED' : 'DEPLOY_FAILED', { release, reason: `${reason}; the group launches nothing more` });
        }
        const asked = kind === 'refresh' ? await patiently(() => rollBackRefresh(context, rollout.group)) : 'over';
        if (asked === 'over') return { how: 'over', by, reason };
        if (asked === 'irreversible') throw new Failure('DEPLOY_FAILED', { release, reason: `${reason}; Auto Scaling cannot undo the refresh, which goes on` });
        say({ event: 'undo', reason, how: 'Auto Scaling rolls the refresh back' });
        break;
      }
      case 'end':
        return await patiently(() => ended(context, running, verdict, undoing ?? undoingOf(smoked), lateAtMs));
    }
  }
}

const undoingOf = (smoked: Smoke): Undoing | undefined => (smoked.state === 'failed' ? { by: 'smoke', reason: smoked.detail } : undefined);

async function ended(
  context: Context,
  running: Running,
  { how, reason }: Verdict & { do: 'end' },
  undoing: Undoing | undefined,
  lateAtMs: number,
): Promise<Ending> {
  const { release } = running.release;
  switch (how) {
    case 'proven':
      await markLive(context, running.release, running.live);
      return { how: 'live' };
    case 'rolled back':
      return { how: 'undone', by: undoing?.by ?? 'alarm', reason };
    case 'over':
      return { how: 'over', by: undoing?.by ?? 'host', reason };
    case 'rollback failed':
      throw new Failure('ROLLBACK_FAILED', { release, reason });
    case 'failed':
    case 'superseded':
      throw new Failure(running.purpose === 'rollback' ? 'ROLLBACK_FAILED' : 'DEPLOY_FAILED', { release, reason });
    case 'late':
      throw late(release, lateAtMs);
  }
}

/** Smoke of a release through the balancer, for every instance that is in service. */
export const smokeOrder = ({ app, pace, clients, signal }: Context, { loadBalancerUrl: url }: Infrastructure, release: number, group: Group): SmokeOrder => ({
  ...{ url, release, paths: app.smoke.paths, releaseHeader: app.releaseHeader, instanceHeader: app.instanceHeader },
  instances: inService(group),
  stillThere: () => readGroup(clients.autoScaling, group.name, signal).then(inService, () => inService(group)),
  ...{ budgetMs: 1_000 * app.smoke.budgetSeconds, everyMs: pace.smokeEveryMs, timeoutMs: pace.smokeTimeoutMs },
});

const inService = ({ instances }: Group) => instances.filter(({ lifecycle }) => lifecycle === 'InService').map(({ id }) => id);

async function smokeOnce(context: Context, { infrastructure, release }: Running, { group }: Observation): Promise<Smoke> {
  try {
    const result = await smoke(smokeOrder(context, infrastructure, release.release, group), context.signal);
    context.say({ event: 'smoke', ...result });
    return result.passed ? { state: 'passed' } : { state: 'failed', detail: result.detail };
  } catch (thrown) {
    // Only an interruption: who watches meets it too.
    return { state: 'failed', detail: String(thrown) };
  }
}

function progressOf(seen: Observation, version: number) {
  const ours = seen.group.instances.filter((instance) => instance.version === version);
  const serving = ours.filter((instance) => isServing(seen, instance)).length;
  return {
    event: 'progress',
    status: seen.refresh?.status ?? 'Launching',
    percentage: seen.refresh?.percentage,
    serving,
    starting: ours.length - serving,
    others: seen.group.instances.length - ours.length,
    desired: seen.group.desired,
  } as const;
}

const late = (release: number, lateAtMs: number) => new Failure('DEPLOY_TIMEOUT', { release, seconds: Math.round(lateAtMs / 1_000) });
