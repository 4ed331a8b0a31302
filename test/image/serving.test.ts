import './guest/enter-lab.ts';
import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { openLab } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';
import { startLoad } from './load.ts';
import { agentUnit, appUnit, bootShop, mainPid, release } from './shop.ts';

/** The agent's loop runs nothing for as long as this signal's handler does. */
const blockOnSignal = `process.on('SIGUSR2', () => { for (const until = Date.now() + 60_000; Date.now() < until; ) {} });\n`;

/** Whether nobody reads what comes to this port. */
const isSilent = (url: string) =>
  fetch(url, { signal: AbortSignal.timeout(300) }).then(
    () => false,
    () => true,
  );

if (needsGuest(t)) {
  const lab = await openLab(t);
  const released = await release(t, lab);

  t.test('S23: the agent is killed under load: no request fails, the next one adopts the same gunicorn', async (t) => {
    const { guest, url, status, readyz, untilReady, events } = await bootShop(t, lab, released);
    await untilReady();
    const [agent, arbiter] = await Promise.all([mainPid(guest, agentUnit), mainPid(guest, appUnit)]);
    const asked = released.proxy.requests.length;
    const load = startLoad(url);
    await load.more(50);
    await guest.ask(['kill', '-KILL', String(agent)]);
    await guest.untilLogged(agentUnit, ({ message }) => message.includes('"app-adopted"'));
    await eventually(readyz, ({ status }) => status === 200);
    await load.more(50);
    await load.stop();
    t.same(load.failed(), [], `${load.seen.length} requests`);
    t.not(await mainPid(guest, agentUnit), agent, 'another agent');
    t.equal(await mainPid(guest, appUnit), arbiter, 'the same gunicorn');
    const { restarts, workersReplaced, gunicorn, phasesMs } = await status();
    t.match({ restarts, workersReplaced, gunicorn }, { restarts: 0, workersReplaced: 0, gunicorn: { pid: arbiter } });
    t.same(phasesMs, {}, 'nothing was booted again');
    const since = released.proxy.requests.slice(asked).filter(({ target }) => !target?.endsWith('PutMetricData'));
    t.same(since, [], 'and nobody was asked');
    t.equal((await events()).filter(({ event }) => event === 'app-started').length, 1);
  });

  t.test('S24: the agent is killed, and gunicorn before the next one is there: it is started once', async (t) => {
    const { guest, url, readyz, untilReady } = await bootShop(t, lab, released);
    await untilReady();
    const [agent, arbiter] = await Promise.all([mainPid(guest, agentUnit), mainPid(guest, appUnit)]);
    await guest.ask(`kill -KILL ${agent} ${arbiter}`);
    await eventually(
      () => mainPid(guest, agentUnit),
      (pid) => pid !== 0 && pid !== agent,
    );
    await eventually(readyz, ({ status }) => status === 200);
    const started = (await guest.journal(appUnit)).filter(({ message }) => message.startsWith('Started '));
    t.equal(started.length, 2, 'the first start and one more');
    const masters = await guest.ask(['pgrep', '--parent', '1', '--uid', 'pinion-app']);
    t.equal(masters, String(await mainPid(guest, appUnit)), 'one gunicorn');
    t.match(await (await fetch(url)).text(), masters);
  });

  t.test('S36: gunicorn is restarted, and killed, under load: nothing is refused', async (t) => {
    const { guest, url, untilReady, status } = await bootShop(t, lab, released);
    await untilReady();
    const load = startLoad(url);
    await load.more(50);
    const arbiter = await mainPid(guest, appUnit);
    await guest.ask(['systemctl', 'restart', appUnit]);
    await eventually(status, ({ state, restarts }) => state === 'ready' && restarts === 1);
    await load.more(50);
    t.same(load.failed(), [], `a restart: ${load.seen.length} requests`);
    t.not(await mainPid(guest, appUnit), arbiter);
    await guest.ask(['systemctl', 'kill', '--signal=KILL', '--kill-whom=main', appUnit]);
    await eventually(status, ({ state, restarts }) => state === 'ready' && restarts === 2);
    await load.more(50);
    await load.stop();
    const refused = load.failed().filter(({ outcome }) => outcome === 'ECONNREFUSED');
    t.same(refused, [], 'a kill: what waits is served by the next gunicorn; only what was being served is reset');
  });

  t.test('S28: an agent whose loop is blocked is replaced, the app is unaware', async (t) => {
    const { guest, url, health, readyz, untilReady } = await bootShop(t, lab, released, {
      environment: { NODE_OPTIONS: '--import=/opt/block.mjs' },
      files: { '/opt/block.mjs': blockOnSignal, '/etc/systemd/system/pinion-agent.service.d/watchdog.conf': '[Service]\nWatchdogSec=2s\n' },
    });
    await untilReady();
    const [agent, arbiter] = await Promise.all([mainPid(guest, agentUnit), mainPid(guest, appUnit)]);
    const load = startLoad(url);
    await guest.ask(['kill', '-USR2', String(agent)]);
    await eventually(() => isSilent(health), Boolean);
    const answer = readyz();
    await guest.untilLogged(agentUnit, ({ message }) => message.includes('Watchdog timeout'));
    await guest.untilLogged(agentUnit, ({ message }) => message.includes('"app-adopted"'));
    t.match((await answer).body, { state: /^(booting|starting|ready)$/ }, 'a check that came meanwhile waited for the next agent');
    await eventually(readyz, ({ status }) => status === 200);
    await load.stop();
    t.same(load.failed(), [], `${load.seen.length} requests`);
    t.equal(await mainPid(guest, appUnit), arbiter, 'the same gunicorn');
    t.equal((await guest.unit(agentUnit)).NRestarts, '1');
  });
}
