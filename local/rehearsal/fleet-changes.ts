import type { Held } from './held.ts';
import { must } from './must.ts';
import type { Stage } from './stage.ts';

export async function scaleOut(stage: Stage): Promise<Held> {
  const release = await stage.release('good');
  const deploying = stage.start('deploy');
  await deploying.until((event) => event.event === 'progress' && event.serving > 0);
  await stage.plane.setDesiredCapacity(stage.infrastructure.autoScalingGroup, stage.instances + 1);
  const { exit, result, seconds } = await deploying.ended;
  must(exit === 0 && result.release === release, `release ${release} is live`, result);
  const running = stage.plane.fleet.running();
  const version = String(result.version);
  must(
    running.length === stage.instances + 1 && running.every((instance) => instance.version === version),
    'every instance, also the new one, runs it',
    running,
  );
  await stage.plane.setDesiredCapacity(stage.infrastructure.autoScalingGroup, stage.instances);
  await stage.untilRunning(stage.instances);
  return { outcome: `release ${release} live on ${stage.instances + 1}`, seconds };
}

export async function instanceKilled(stage: Stage): Promise<Held> {
  const startedAtMs = performance.now();
  const { result: before } = await stage.pinion('status');
  const [victim] = stage.plane.fleet.running();
  must(victim !== undefined, 'there is an instance');
  const counted = stage.load.count();
  await stage.plane.fleet.kill(victim.id);
  await stage.untilServing(stage.instances);
  const running = stage.plane.fleet.running();
  must(
    !running.some(({ id }) => id === victim.id) && running.every(({ version }) => version === victim.version),
    'it was replaced with the same release',
    running,
  );
  const { result: after } = await stage.pinion('status');
  must((after.runs as { release?: number }).release === (before.runs as { release?: number }).release, 'the release stays', after.runs);
  // What it held, and what came before two health checks had failed.
  const window = stage.noticeMs;
  const [first] = counted().failed;
  const inWindow = counted().failed.filter(({ atMs }) => first !== undefined && atMs <= first.atMs + window);
  const excused = { failed: inWindow.length, why: `held by it, or sent within ${window} ms before the health check noticed` };
  return { outcome: 'replaced with the same release', seconds: (performance.now() - startedAtMs) / 1_000, excused };
}
