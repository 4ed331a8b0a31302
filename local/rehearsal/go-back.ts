import type { Held } from './held.ts';
import { must } from './must.ts';
import type { Stage } from './stage.ts';

export async function goBack(stage: Stage): Promise<Held> {
  const { result: before } = await stage.pinion('status');
  const { exit, result, seconds } = await stage.pinion('rollback');
  must(exit === 0 && result.release === before.previous, `goes back to release ${before.previous}`, result);
  const { result: after } = await stage.pinion('status');
  must(after.live === before.previous && after.previous === before.live, 'the labels changed places', after);
  return { outcome: `release ${before.live} → ${after.live}`, seconds, replaced: stage.instances };
}

export async function alarmFires(stage: Stage): Promise<Held> {
  const [alarm = ''] = stage.infrastructure.alarms;
  await stage.plane.setAlarm(alarm, 'ALARM');
  const release = await stage.release('good');
  const refused = await stage.pinion('deploy', '--release', String(release));
  must(refused.result.cause === 'ALARM_NOT_OK', 'a deploy is refused while the alarm fires', refused.result);
  const { exit, result, events, seconds } = await stage.pinion('rollback');
  await stage.plane.setAlarm(alarm, 'OK');
  must(exit === 0 && result.outcome === 'live', 'the rollback goes', result);
  must(
    events.some((event) => event.event === 'note' && event.text.includes(alarm)),
    'and says which alarm it leaves out',
  );
  return { outcome: `deploy refused, rollback to ${result.release} without ${alarm}`, seconds, replaced: stage.instances };
}
