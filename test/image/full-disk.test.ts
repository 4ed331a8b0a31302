import './guest/enter-lab.ts';
import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { openLab } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';
import { startLoad } from './load.ts';
import { agentUnit, appUnit, bootShop, mainPid, release } from './shop.ts';

if (needsGuest(t)) {
  const lab = await openLab(t);
  const released = await release(t, lab);

  const { guest, url, asApp, readyz, untilReady } = await bootShop(t, lab, released);
  await untilReady();

  t.test("S30: the journal's disk is full: the app serves, readiness is answered, a cause still reaches the console", async (t) => {
    await guest.ask(
      'mount -t tmpfs -o size=1m tmpfs /var/log/journal && systemctl restart systemd-journald && dd if=/dev/zero of=/var/log/journal/full bs=64k 2>/dev/null; df /var/log/journal | grep -q 100%',
    );
    const load = startLoad(url);
    await load.more(100);
    const arbiter = await mainPid(guest, appUnit);
    await guest.ask(['kill', '-KILL', String(arbiter)]);
    await eventually(
      () => mainPid(guest, appUnit),
      (pid) => pid !== 0 && pid !== arbiter,
    );
    await eventually(readyz, ({ status }) => status === 200);
    await load.more(50);
    await load.stop();
    t.same(
      load.failed().filter(({ outcome }) => outcome === 'ECONNREFUSED'),
      [],
    );
    t.match(guest.console(), /pinion: APP_EXITED: gunicorn ended with SIGKILL/, 'the console says it');
  });

  t.test("S30: the app fills its shared memory, where gunicorn's workers beat: nothing else is touched, and a start begins with an empty one", async (t) => {
    t.match((await asApp('dd if=/dev/zero of=/dev/shm/full bs=64k 2>&1; true')).said, /No space left/);
    t.equal((await readyz()).status, 200, 'ready as before');
    const arbiter = await mainPid(guest, appUnit);
    await guest.ask(['kill', '-KILL', String(arbiter)]);
    await eventually(
      () => mainPid(guest, appUnit),
      (pid) => pid !== 0 && pid !== arbiter,
    );
    await eventually(readyz, ({ status }) => status === 200);
    t.equal((await asApp('ls /dev/shm/full')).end, 2);
  });

  t.test('S30: no room for what the boot writes: its cause, and the health port answers', async (t) => {
    const { guest, readyz } = await bootShop(t, lab, released, {
      files: {
        '/etc/systemd/system/var-lib-pinion.mount': '[Mount]\nWhat=tmpfs\nWhere=/var/lib/pinion\nType=tmpfs\nOptions=size=1m,mode=0755\n',
        '/etc/systemd/system/pinion-agent.service.d/disk.conf':
          '[Unit]\nRequiresMountsFor=/var/lib/pinion\nRequires=var-lib-pinion.mount\nAfter=var-lib-pinion.mount\n',
      },
    });
    await guest.untilLogged(agentUnit, ({ message }) => message.includes('"to":"failed"'));
    t.match(await readyz(), { status: 503, body: { state: 'failed', cause: 'DISK_FULL' } });
    t.match(guest.console(), /pinion: DISK_FULL: /);
  });
}
