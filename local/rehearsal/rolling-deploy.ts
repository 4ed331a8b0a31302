import type { Held } from './held.ts';
import { must } from './must.ts';
import type { Stage } from './stage.ts';

export async function rollingDeploy(stage: Stage): Promise<Held> {
  const release = await stage.release('good');
  const before = new Set(stage.plane.fleet.running().map(({ id }) => id));
  const { exit, result, seconds } = await stage.pinion('deploy');
  must(exit === 0 && result.release === release, `release ${release} is live`, result);
  const left = stage.plane.fleet.running().filter(({ id }) => before.has(id));
  must(left.length === 0, 'every instance was replaced', left);
  const status = await stage.pinion('status');
  must(status.result.serving === stage.instances, 'status counts every instance as serving', status.result);
  return { outcome: `release ${release} live, every instance replaced`, seconds, replaced: stage.instances };
}

export async function deployerKilled(stage: Stage): Promise<Held> {
  const release = await stage.release('good');
  const startedAtMs = performance.now();
  const deploying = stage.start('deploy');
  await deploying.until((event) => event.event === 'progress' && event.serving > 0);
  deploying.kill('SIGKILL');
  await deploying.ended;
  const { exit, result } = await stage.pinion('wait');
  must(exit === 0 && result.outcome === 'live' && result.release === release, `wait finishes the deploy of release ${release}`, result);
  return { outcome: `wait made release ${release} live`, seconds: (performance.now() - startedAtMs) / 1_000, replaced: stage.instances };
}
