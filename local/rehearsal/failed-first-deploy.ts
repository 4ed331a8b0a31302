import type { EnvironmentStage } from './environment-stage.ts';
import type { Held } from './held.ts';
import { must } from './must.ts';

/** In a second environment, whose group has never served. */
export async function failedFirstDeploy(stage: EnvironmentStage): Promise<Held> {
  const fresh = await stage.fresh();
  await fresh.release('broken');
  const { exit, result, seconds } = await fresh.pinion('deploy');
  must(exit === 7 && /APP_CRASH_LOOP|cannot be imported/.test(String(result.sentence)), 'it fails with the cause of the host', result);
  const { result: status } = await fresh.pinion('status');
  must((status.suspended as readonly string[]).includes('Launch'), 'Launch is suspended again', status.suspended);
  const launches = fresh.plane.fleet.launches();
  await stage.load.more(300);
  must(fresh.plane.fleet.launches() === launches, 'nothing more is launched', fresh.plane.fleet.launches() - launches);
  const release = await fresh.release('good');
  const next = await fresh.pinion('deploy');
  must(next.exit === 0 && next.result.release === release, 'the next deploy works', next.result);
  return { outcome: 'failed with its cause, no launch loop, the next deploy is live', seconds };
}
