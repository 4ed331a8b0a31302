import './guest/enter-lab.ts';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { sealedImage } from './guest/image.ts';
import { openLab } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';
import { agentUnit, bootShop, mainPid, release } from './shop.ts';

if (needsGuest(t)) {
  const lab = await openLab(t);

  t.test('the package on a host: installed again it drains and serves the release anew, removed it ends all of it, purged it leaves nothing', async (t) => {
    const shop = await bootShop(t, lab, await release(t, lab));
    const { guest, readyz, untilReady } = shop;
    await untilReady();
    const agent = await mainPid(guest, agentUnit);
    await guest.write('/root/pinion-agent.deb', readFileSync(sealedImage().deb));
    const dpkg = (...args: string[]) => guest.ask(['dpkg', ...args], { timeoutMs: 120_000 });

    await dpkg('--install', '/root/pinion-agent.deb');
    await eventually(readyz, ({ status }) => status === 200);
    t.not(await mainPid(guest, agentUnit), agent, 'another agent');
    t.same(await guest.ask(['dpkg', '--verify', 'pinion-agent']), '', 'every file is as it was packed');
    for (const unit of [agentUnit, 'pinion-health.socket']) t.equal(await guest.ask(['systemctl', 'is-enabled', unit]), 'enabled');

    await dpkg('--remove', 'pinion-agent');
    t.equal((await guest.exec(['pgrep', '--uid', 'pinion,pinion-app'])).stdout, '', 'no process is left');
    t.equal(await guest.ask(['ss', '--no-header', '--listening', '--numeric', '--tcp', '( sport = :8000 or sport = :8081 )']), '', 'nor a port');
    t.equal((await guest.exec(['test', '-d', '/var/lib/pinion'])).end, 0, 'its state stays, as Debian keeps what a purge removes');

    await dpkg('--purge', 'pinion-agent');
    const left = await guest.ask(
      'ls -d /var/lib/pinion /run/pinion /run/pinion-app /usr/lib/pinion /usr/lib/systemd/system/pinion-* /etc/systemd/system/*/pinion-* 2>/dev/null; systemctl --failed --no-legend --plain; true',
    );
    t.equal(left, '');
  });
}
