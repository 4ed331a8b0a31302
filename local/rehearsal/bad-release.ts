import { exitCodes } from '../../pipeline/exit-codes.ts';
import type { Held } from './held.ts';
import { must } from './must.ts';
import type { Stage } from './stage.ts';

const exitOf = (cause: string): number => Number(Object.entries(exitCodes).find(([, [, causes]]) => (causes as readonly string[]).includes(cause))?.[0]);

export async function unimportable(stage: Stage): Promise<Held> {
  const release = await stage.release('broken');
  const before = stage.plane.fleet.running().map(({ id }) => id);
  const { exit, result, events, seconds } = await stage.pinion('deploy');
  must(exit === exitOf('ROLLED_BACK') && result.cause === 'ROLLED_BACK', 'it is rolled back', result);
  must(/APP_CRASH_LOOP|cannot be imported/.test(String(result.sentence)), 'the cause of the host is told', result);
  must(
    events.some((event) => event.event === 'host' && event.line.length > 0),
    'with its console line',
  );
  const running = new Set(stage.plane.fleet.running().map(({ id }) => id));
  const lost = before.filter((id) => !running.has(id));
  must(lost.length === 0, 'no old instance was lost', lost);
  return { outcome: `release ${release} rolled back, cause shown, no old instance lost`, seconds };
}

export async function illRelease(stage: Stage): Promise<Held> {
  const release = await stage.release('ill');
  const { exit, result, events, seconds } = await stage.pinion('deploy');
  must(exit === exitOf('SMOKE_FAILED') && result.cause === 'SMOKE_FAILED', 'it ends as failed smoke', result);
  must(
    events.some((event) => event.event === 'undo'),
    'the refresh is rolled back',
  );
  const { result: status } = await stage.pinion('status');
  must((status.refresh as { status?: string }).status === 'RollbackSuccessful', 'the rollback was waited for', status.refresh);
  must(status.live !== release && (status.runs as { isProven?: boolean }).isProven === true, 'the live release runs', status);
  return { outcome: `release ${release} failed smoke in bake and was rolled back`, seconds };
}
