import t from 'tap';
import { startMoto } from '../../../local/moto.ts';
import { deploy } from '../../../pipeline/rollout/deploy.ts';
import { createObserver } from '../../../pipeline/rollout/observe.ts';
import { readPace } from '../../../pipeline/rollout/pace.ts';
import { openRolloutLab } from '../../support/rollout.ts';

const moto = await startMoto();
t.teardown(moto.stop);

t.test('a look costs as many calls for three instances that do not serve as for sixty', async (t) => {
  const calls: number[] = [];
  for (const instances of [3, 60]) {
    const lab = await openRolloutLab(t, { moto, instances });
    await lab.release({ says: 'boots, and says nothing more' });
    const stop = new AbortController();
    const deploying = deploy({ ...lab.context, signal: stop.signal }, { release: undefined, despite: [] });
    while (!lab.events.some((event) => event.event === 'progress' && event.starting === instances)) await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort();
    await deploying.catch(() => undefined);
    const { autoScalingGroup: group, targetGroupArn } = lab.infrastructure;
    const observe = createObserver(lab.clients, { group, targetGroupArn, version: 2, refreshId: undefined });
    const before = lab.gateway.calls.length;
    const { group: seen } = await observe(lab.context.signal);
    t.equal(seen.instances.length, instances);
    calls.push(lab.gateway.calls.length - before);
  }
  t.equal(calls[0], calls[1]);
  const aMinute = ((calls[1] ?? 0) * 60_000) / readPace({}).pollMs;
  t.ok(aMinute <= 72, `${aMinute} calls a minute`);
  t.comment(`${calls[1]} calls a look, ${aMinute} a minute`);
});
