import './guest/enter-lab.ts';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { sealedImage } from './guest/image.ts';
import { openLab } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';
import { agentUnit, appUnit, bootShop, type Released, release, secret } from './shop.ts';

const isArtifact = { method: 'GET', path: /\.tar\.zst/ };
const targets = ({ proxy }: Released, from: number) => proxy.requests.slice(from).flatMap(({ target }) => target?.split('.')[1] ?? []);

if (needsGuest(t)) {
  const lab = await openLab(t);
  const released = await release(t, lab);
  const { proxy } = released;
  const shop = await bootShop(t, lab, released);
  const readyMs = await shop.untilReady();

  t.test('boots to ready from nothing but its user data; no unit fails', async (t) => {
    const { guest } = shop;
    t.equal(await guest.settled(), 'running');
    t.equal(await guest.ask(['systemctl', '--failed', '--no-legend', '--plain']), '');
    const { state, release: number, phasesMs, agent } = await shop.status();
    t.match({ state, release: number }, { state: 'ready', release: 1 });
    t.same(Object.keys(phasesMs).sort(), ['config', 'download', 'identity', 'installed', 'prepare', 'release', 'unpack']);
    t.comment(
      `PID 1 to ready ${Math.round(readyMs)} ms: ${Object.entries(phasesMs)
        .map((phase) => phase.join(' '))
        .join(', ')} ms; agent ${agent}`,
    );
    t.comment(await guest.ask('systemd-analyze critical-chain --no-pager pinion-agent.service'));
    const pss = await guest.ask(
      `for p in $(cat /sys/fs/cgroup/system.slice/${agentUnit}/cgroup.procs); do echo $(cat /proc/$p/comm) $(awk '/^Pss:/ {print $2}' /proc/$p/smaps_rollup) kB; done`,
    );
    t.comment(`PSS of the agent's unit: ${pss.replaceAll('\n', ', ')}`);
    const events = await shop.events();
    t.ok(
      events.some((event) => event.event === 'app-output' && event.line.includes('imported with [SECRET]')),
      "the app's lines, without values of config",
    );
    t.notMatch(await guest.ask('journalctl --boot --output=cat'), secret);
    t.match(await (await fetch(shop.url)).text(), /^\d+$/);
    t.same(
      await guest.ask(['ss', '--no-header', '--listening', '--tcp', '--udp', '--numeric', '--no-queues']).then(portsOf),
      ['0.0.0.0:8000', '0.0.0.0:8081'],
      'it listens for nothing else',
    );
  });

  t.test('a reboot serves the same release: record and config are read again, the artifact is on the disk', async (t) => {
    const [artifacts, before] = [proxy.seen(isArtifact).length, proxy.requests.length];
    await shop.guest.reboot();
    const readyMs = await shop.untilReady();
    t.comment(`PID 1 to ready ${Math.round(readyMs)} ms with the release on the disk`);
    t.equal(proxy.seen(isArtifact).length, artifacts, 'not fetched again');
    t.same(
      targets(released, before)
        .sort()
        .filter((target) => target.startsWith('Get')),
      ['GetParameter', 'GetParameters'],
    );
    t.match(await shop.status(), { state: 'ready', release: 1, restarts: 0 });
    t.same(shop.asked(), ['complete launch CONTINUE'], 'an instance is launched once, however often it boots');
  });

  t.test('the sealed image holds no state: two instances are two, and no secret of the bake is in it', async (t) => {
    const another = await bootShop(t, lab, released);
    await another.untilReady();
    const shops = [shop, another];
    const of = (line: string) => Promise.all(shops.map(({ guest }) => guest.ask(line)));
    for (const line of ['cat /etc/machine-id', 'cat /proc/sys/kernel/random/boot_id', 'hostname']) {
      const [a, b] = await of(line);
      t.ok(a !== b && (a?.length ?? 0) > 3, `${line}: ${a}, ${b}`);
    }
    const instances = await Promise.all(shops.map(async (shop) => (await shop.status()).instance));
    t.same(
      instances,
      shops.map(({ instance }) => instance.id),
    );
    const { root, canary } = await sealedImage();
    const files = globSync('{etc,root,home,var,opt,srv,tmp,usr/lib/pinion,usr/local}/**', { cwd: root, withFileTypes: true }).filter((entry) => entry.isFile());
    t.ok(files.length > 500, `${files.length} files are looked at`);
    const leaks = files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => [canary, secret].some((word) => readFileSync(path).includes(word)));
    t.same(leaks, []);
  });

  t.test('N12: user data of another kind: nothing of it is run, and one line on the console says so', async (t) => {
    const kinds = {
      USER_DATA_SCRIPT: '#!/bin/sh\ntouch /run-by-user-data\n',
      USER_DATA_CLOUD_CONFIG: '#cloud-config\nruncmd: [touch /run-by-user-data]\nwrite_files: [{path: /run-by-user-data, content: x}]\n',
      USER_DATA_MULTIPART:
        'Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n--b\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ntouch /run-by-user-data\n--b--\n',
      USER_DATA_EMPTY: '',
    };
    for (const [cause, userData] of Object.entries(kinds)) {
      const shop = await bootShop(t, lab, released, { userData });
      await shop.guest.untilLogged(agentUnit, ({ message }) => message.includes('"to":"failed"'));
      t.match(await shop.readyz(), { status: 503, body: { state: 'failed', cause } });
      await shop.guest.settled();
      t.match(shop.guest.console(), new RegExp(`pinion: ${cause}: .*`), 'the console says it');
      t.equal((await shop.guest.exec(['find', '/', '-xdev', '-name', 'run-by-user-data'])).stdout, '', `${cause}: nothing was run`);
      t.equal((await shop.guest.unit(appUnit)).ActiveState, 'inactive');
      await shop.guest.kill();
    }
  });
}

const portsOf = (listed: string): string[] =>
  [...new Set(listed.split('\n').flatMap((line) => (/^(tcp|udp)/.test(line) ? [line.trim().split(/\s+/)[2] ?? ''] : [])))]
    .filter((address) => !/^(10\.77|\[fe80|fe80).*:(68|546)$/.test(address))
    .sort();
