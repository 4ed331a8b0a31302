import './guest/enter-lab.ts';
import t from 'tap';
import type { AgentEvent } from '../../contract/events.ts';
import { eventually } from '../support/eventually.ts';
import { get } from '../support/launched.ts';
import { notice, spot, targetState } from '../support/member.ts';
import { openLab } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';
import { startLoad } from './load.ts';
import { agentUnit, appUnit, bootShop, mainPid, release, type Shop } from './shop.ts';

/** What a balancer's health check says: the status, or nothing. */
const check = (url: string) =>
  get(url).then(
    ({ status }) => status,
    () => undefined,
  );

/** As a balancer does: it goes on sending until two checks in a row have failed, and then ends its connections. */
async function untilTakenOut({ health }: Shop, healthIntervalMs: number): Promise<void> {
  for (let failed = 0; failed < 2; ) {
    await new Promise((resolve) => setTimeout(resolve, healthIntervalMs));
    failed = (await check(health)) === 200 ? 0 : failed + 1;
  }
}

if (needsGuest(t)) {
  const lab = await openLab(t);
  const released = await release(t, lab);
  const healthIntervalMs = 500;
  const userData = { ...released.userData, times: { ...released.userData.times, healthIntervalMs } };

  const leave = async ({ guest, instance, asked }: Shop, path: string, value: string) => {
    instance.imds.set(path, value);
    if (path === spot) {
      await eventually(
        () => guest.unit(agentUnit),
        ({ StatusText }) => StatusText?.startsWith('stopped') === true,
      );
      // The group notices it too, sooner or later.
      instance.imds.set(targetState, 'Terminated');
    }
    await eventually(asked, (calls) => calls.includes('complete terminate CONTINUE'));
  };
  const orders: Readonly<Record<string, (shop: Shop) => Promise<unknown>>> = {
    stop: ({ guest }) => guest.ask(['systemctl', 'stop', 'pinion-health.socket'], { timeoutMs: 60_000 }),
    reboot: ({ guest }) => guest.end(['systemctl', 'reboot']),
    poweroff: ({ guest }) => guest.poweroff(),
    'scale-in': (shop) => leave(shop, targetState, 'Terminated'),
    'Spot interruption': (shop) => leave(shop, spot, notice),
  };
  const ids: Readonly<Record<string, string>> = { 'scale-in': 'S33, S42', 'Spot interruption': 'S33, F36' };
  for (const [name, order] of Object.entries(orders)) {
    const isLeaving = name in ids;
    t.test(`${ids[name] ?? 'S33'}: a ${name} under load: not ready first, everything served until the balancer has let go, then the end`, async (t) => {
      const shop = await bootShop(t, lab, released, { userData });
      const { guest, url, health } = shop;
      await shop.untilReady();
      const load = startLoad(url);
      // In the middle of all this: it began before, and is answered.
      const slow = get(`${url}/slow?seconds=2`);
      await load.more(50);
      const orderedAtMs = performance.now();
      const ending = order(shop);
      await eventually(
        () => check(health),
        (status) => status !== 200,
      );
      const notReadyAtMs = performance.now();
      await untilTakenOut(shop, healthIntervalMs);
      await load.stop();
      const late = load.seen.filter(({ sentAtMs }) => sentAtMs > notReadyAtMs);
      t.ok(late.length > 20, `${late.length} requests came after not ready`);
      t.same(load.failed(), [], `all ${load.seen.length} requests were answered`);
      t.equal((await slow).body, 'slow');
      await ending;
      const tookMs = performance.now() - orderedAtMs;
      t.ok(tookMs < 30_000, `it took ${Math.round(tookMs)} ms, the unit's stop time-out is 30 s and more`);
      if (isLeaving) {
        t.same(shop.asked(), ['complete launch CONTINUE', 'complete terminate CONTINUE']);
        t.match(await guest.unit(agentUnit), { ActiveState: 'active', NRestarts: '0' }, 'the agent stays');
        t.match(await shop.readyz(), { status: 503, body: { state: 'stopped' } }, 'and answers until the power goes');
        await guest.poweroff();
      }
      const journal = ['journalctl', `--unit=${agentUnit}`, `--unit=${appUnit}`, '--output=cat'];
      const said = (name === 'stop' ? await guest.ask(journal) : await guest.askDisk([...journal, '--directory=/var/log/journal'])).split('\n');
      const events = said.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as AgentEvent] : []));
      const told = events.flatMap((event) =>
        event.event === 'state' ? [event.to] : event.event.startsWith('app-e') || event.event === 'stopped' ? [event.event] : [],
      );
      t.same(told, ['starting', 'ready', 'draining', 'app-exited', 'stopped', 'stopped'], 'the order of the drain');
      t.same(
        events.filter(({ event }) => event === 'app-exited'),
        events.filter((event) => event.event === 'app-exited' && event.exit === 'exit status 0' && !event.wasKilled),
        'gunicorn ended by itself',
      );
      t.equal(
        said.find((line) => /timed out|Killing|SIGKILL/.test(line)),
        undefined,
        'nothing was killed',
      );
      if (name !== 'stop') return;
      t.equal(await mainPid(guest, appUnit), 0);
      t.equal(await guest.ask(['ss', '--no-header', '--listening', '--numeric', '--tcp', '( sport = :8000 or sport = :8081 )']), '', 'both ports are closed');
      t.equal((await guest.exec(['pgrep', '--uid', 'pinion-app'])).stdout, '', 'nothing of the app is left');
    });
  }
}
