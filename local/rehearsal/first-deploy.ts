import type { Held } from './held.ts';
import { must } from './must.ts';
import type { Stage } from './stage.ts';

export async function firstDeploy(stage: Stage): Promise<Held> {
  const release = await stage.release('good');
  const { exit, result, seconds } = await stage.pinion('deploy');
  must(exit === 0 && result.outcome === 'live' && result.release === release, `release ${release} is live`, result);
  must(stage.plane.fleet.running().length === stage.instances, `${stage.instances} instances run`, stage.plane.fleet.running());
  const again = await stage.pinion('deploy');
  must(again.exit === 0 && again.result.outcome === 'nothing to do', 'a second deploy has nothing to do', again.result);
  const examined = await stage.pinion('doctor');
  must(examined.exit === 0, 'doctor finds nothing', examined.result);
  return { outcome: `release ${release} live on ${stage.instances}`, seconds };
}
