import { setTimeout as pause } from 'node:timers/promises';
import { Failure } from '../../contract/causes.ts';
import type { Infrastructure } from '../../contract/infrastructure.ts';
import type { Released } from '../release/read.ts';
import type { Context } from './context.ts';
import type { Group } from './group.ts';
import { markLive } from './live.ts';
import { createObserver, type Observation } from './observe.ts';
import { isServing } from './serving.ts';
import { type SmokeOrder, smoke } from './smoke.ts';
import { rollBackRefresh, suspendLaunch } from './start.ts';
import { judge, type Smoke, type Undoing, type Verdict } from './verdict.ts';

/** A deploy that was started, here or elsewhere. */
export type Running = {
  readonly kind: 'first' | 'prove' | 'refresh';
  readonly infrastructure: Infrastructure;
  readonly release: Released;
  readonly version: number;
  readonly refreshId: string | undefined;
  readonly live: Released | undefined;
  readonly expectedSeconds: number;
  /** It is being undone already. */
  readonly undoing?: Undoing;
};

/** How a deploy ended that did not throw: proven and live, or undone; `gone` when it is to be undone and no refresh is there to do it. */
export type Ending = { readonly how: 'live' } | { readonly how: 'undone' | 'gone'; readonly by: 'host' | 'smoke' | 'alarm'; readonly reason: string };

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
  const { infrastructure, version, refreshId, kind } = running;
  const { release } = running.release;
  const rollout = { group: infrastructure.autoScalingGroup, targetGroupArn: infrastructure.targetGroupArn, version, refreshId };
  const observe = createObserver(context.clients, rollout);
  const lateAtMs = performance.now() + 3_000 * running.expectedSeconds + pace.patienceMs;
  const told = new Set<string>();
  let smoked: Smoke = { state: 'not begun' };
  let undoing = running.undoing;
  /** What AWS throttles or does not answer says nothing about the release: asked again, ever slower, until the deadline. */
  const patiently = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let everyMs = pace.pollMs; ; ) {
      try {
        return await work();
      } catch (thrown) {
        if (!(thrown instanceof Failure) || thrown.code !== 'AWS_UNAVAILABLE') throw thrown;
        if (performance.now() > lateAtMs) throw late(release, lateAtMs);
        everyMs = Math.min(pace.slowestPollMs, 2 * everyMs);
        say({ event: 'slow', detail: thrown.message, nextLookMs: everyMs });
        await pause(everyMs, undefined, { signal });
      }
    }
  };
  for (;;) {
    const seen = await patiently(() => observe(signal));
    const isLate = performance.now() > lateAtMs;
    say(progressOf(seen, version));
    for (const host of seen.hosts) {
      const line = `${host.instance} ${host.cause}`;
      if (!told.has(line)) say({ event: 'host', ...host });
      told.add(line);
    }
    const verdict: Verdict = judge({ ...seen, version, smoke: smoked, undoing, isLate });
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
        const asked = kind === 'refresh' ? await patiently(() => rollBackRefresh(context, rollout.group)) : 'gone';
        if (asked === 'gone') return { how: 'gone', by, reason };
        say({ event: 'undo', reason, how: 'Auto Scaling rolls the refresh back' });
        break;
      }
      case 'end':
        return await patiently(() => ended(context, running, verdict, undoing, lateAtMs));
    }
  }
}

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
    case 'rollback failed':
      throw new Failure('ROLLBACK_FAILED', { release, reason });
    case 'failed':
      throw new Failure('DEPLOY_FAILED', { release, reason });
    case 'late':
      throw late(release, lateAtMs);
  }
}

/** Smoke of a release through the balancer, for every instance that is in service. */
export const smokeOrder = ({ app, pace }: Context, { loadBalancerUrl: url }: Infrastructure, release: number, { instances }: Group): SmokeOrder => ({
  ...{ url, release, paths: app.smoke.paths, releaseHeader: app.releaseHeader, instanceHeader: app.instanceHeader },
  instances: instances.filter(({ lifecycle }) => lifecycle === 'InService').map(({ id }) => id),
  ...{ budgetMs: 1_000 * app.smoke.budgetSeconds, everyMs: pace.smokeEveryMs, timeoutMs: pace.smokeTimeoutMs },
});

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
