import './guest/enter-lab.ts';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { cgroupRoot, sweepCgroups } from './guest/cgroup.ts';
import { bootGuest } from './guest/guest.ts';
import { sealedImage } from './guest/image.ts';
import { launchInstance } from './guest/instance.ts';
import { openLab, type Teardown } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';
import { owner } from './guest/owner.ts';
import { childrenOf } from './guest/processes.ts';

const program = fileURLToPath(new URL('guest/boot-and-wait.ts', import.meta.url));
const descendantsOf = (pid: number): number[] => childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
const cgroups = (of: string) => readdirSync(cgroupRoot ?? '').filter((name) => name.includes(of));
/** All that a guest is made of, as the machine sees it. */
const traces = () => ({
  cgroups: cgroups(owner),
  mounts: readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes('pinion-guest')).length,
  namespaces: execFileSync('ip', ['netns'], { encoding: 'utf8' }).trim(),
  links: execFileSync('ip', ['-brief', 'link'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.startsWith('to-')).length,
});

if (needsGuest(t)) {
  const lab = await openLab(t);
  const { root, canary } = sealedImage();
  const nothing = traces();
  const boot = async (test: Teardown, options: Parameters<typeof launchInstance>[2] = {}) => {
    const instance = await launchInstance(test, lab, options);
    return { instance, guest: await bootGuest(test, { root, network: instance.network }) };
  };

  const stopFirst: (() => unknown)[] = [];
  const { instance, guest } = await boot({ teardown: (work) => stopFirst.push(work) }, { userData: 'mine' });
  t.equal(await guest.settled(), 'running', 'no unit failed');

  t.test('a guest is an instance: PID 1 is systemd, its address is by DHCP, its metadata service answers it', async (t) => {
    t.equal(await guest.ask('cat /proc/1/comm'), 'systemd');
    t.match(await guest.ask('ip -4 -brief address show ens5'), `${instance.network.address}/24`);
    const token = `$(curl -sS -X PUT -H 'x-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)`;
    t.equal(await guest.ask(`curl -sS -H "x-aws-ec2-metadata-token: ${token}" http://169.254.169.254/latest/user-data`), 'mine');
    t.ok(instance.imds.requests.some(({ path, status }) => path === '/latest/user-data' && status === 200));
    t.ok(guest.startedAtMs > 0 && guest.startedAtMs < performance.now());
    t.match(guest.console(), 'Welcome to');
  });

  t.test('what is asked of a guest comes back as it is', async (t) => {
    t.same(await guest.exec('echo out; echo err >&2; exit 3'), { stdout: 'out\n', stderr: 'err\n', end: 3 });
    t.equal((await guest.exec('sleep 4242; true', { timeoutMs: 50 })).end, 'SIGKILL');
    t.equal((await guest.exec(['pgrep', '-af', 'sleep 4242'])).stdout, '', 'a program whose time is over is gone in there too');
    t.equal(await guest.ask(['id', '-un'], { user: 'pinion' }), 'pinion');
    t.equal(await guest.ask('echo "$A $HOME"', { environment: { A: 'set' } }), 'set ', 'nothing of this environment, and what is given');
    const bytes = Buffer.from([0, 255, 10, 13]);
    await guest.write('/var/lib/a/b', bytes, 0o600);
    t.same(await guest.read('/var/lib/a/b'), bytes);
    t.equal(await guest.ask('stat -c %a /var/lib/a/b'), '600');
    await t.rejects(guest.read('/nowhere'), /No such file/);
    t.match(await guest.unit('systemd-journald.service'), { ActiveState: 'active', Id: 'systemd-journald.service' });
    const logged = guest.untilLogged({}, ({ message }) => message === 'to come');
    await guest.ask(['systemd-run', '--quiet', '--wait', '--unit=said', 'echo', 'to come']);
    const entry = await logged;
    t.ok(entry.atMs > guest.startedAtMs && entry.atMs < performance.now(), 'by the clock of this process');
    t.equal((await guest.journal('said.service')).filter(({ message }) => message === 'to come').length, 1);
    t.same(
      (await guest.lacks()).filter((feature) => !['memory control', 'IP filters of units'].includes(feature)),
      [],
    );
  });

  t.test('a guest reaches the lab and nothing else', async (t) => {
    t.match(await guest.ask('ip route get 10.77.0.1'), 'dev ens5');
    // TEST-NET-1 (RFC 5737) stands for everywhere else. The lab has no route to it, and says so.
    const outside = await guest.exec(['curl', '-sS', '--max-time', '10', 'http://192.0.2.1/']);
    t.equal(outside.end, 7, 'curl failed to connect');
    t.equal((await guest.exec(['getent', 'hosts', 'example.com'])).stdout, '', 'no name is resolved');
  });

  t.test('a reboot keeps the disk, and is another boot on a new network', async (t) => {
    const ids = async () => (await guest.ask('cat /proc/sys/kernel/random/boot_id /etc/machine-id')).split('\n');
    const before = await ids();
    const startedAtMs = guest.startedAtMs;
    await guest.write('/var/lib/kept', 'kept');
    await guest.ask('nft add table inet mine && touch /run/mine');
    await guest.reboot();
    const after = await ids();
    t.not(after[0], before[0], 'another boot id');
    t.equal(after[1], before[1], 'the same machine id');
    t.ok(guest.startedAtMs > startedAtMs);
    t.equal(String(await guest.read('/var/lib/kept')), 'kept');
    t.equal(await guest.ask('nft list tables | grep mine || ls /run/mine 2>/dev/null || true'), '', 'rules and /run are gone');
    await guest.poweroff();
    t.same(traces().cgroups, nothing.cgroups, 'nothing runs');
    t.match(await guest.askDisk(['cat', '/var/lib/kept']), 'kept', 'its disk is read');
    await t.rejects(guest.exec('true'), /is off/);
    await guest.start();
    t.equal(String(await guest.read('/var/lib/kept')), 'kept');
    t.equal(await guest.settled(), 'running');
    for (const work of stopFirst.reverse()) await work();
  });

  t.test('two guests of one tree at once are two machines, each with its own metadata service', async (t) => {
    const both = await Promise.all(['one', 'two'].map((userData) => boot(t, { userData })));
    const id = async (guest: (typeof both)[number]['guest']) => guest.ask('cat /etc/machine-id; hostname');
    const [one, two] = (await Promise.all(both.map(({ guest }) => id(guest)))) as [string, string];
    t.match(one, /^[0-9a-f]{32}\nip-10-77-0-\d+$/);
    t.not(one, two);
    t.not(one.slice(0, 32), two.slice(0, 32));
    const ask = `curl -sS -H "x-aws-ec2-metadata-token: $(curl -sS -X PUT -H 'x-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)" http://169.254.169.254/latest/user-data`;
    await Promise.all(both.map(({ guest }) => guest.settled()));
    t.same(await Promise.all(both.map(({ guest }) => guest.ask(ask))), ['one', 'two']);
  });

  t.test('a killed guest leaves nothing but its disk, a stopped one nothing', async (t) => {
    const stop: (() => unknown)[] = [];
    const { guest } = await boot({ teardown: (work) => stop.push(work) });
    const { leader } = guest;
    t.equal(traces().cgroups.length, 1);
    await guest.kill();
    t.notOk(existsSync(`/proc/${leader}`), 'PID 1 is gone');
    t.same(traces().cgroups, nothing.cgroups);
    t.equal(traces().mounts, nothing.mounts + 1);
    for (const work of stop.reverse()) await work();
    t.same(traces(), nothing);
  });

  for (const [signal, left] of [
    ['SIGTERM', 0],
    ['SIGKILL', 1],
  ] as const) {
    t.test(`${signal} to the test ends its guests; a cgroup that is left is empty, and the next run takes it away`, async (t) => {
      const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
      t.teardown(() => child.kill('SIGKILL'));
      const [line] = await once(createInterface({ input: child.stdout }), 'line');
      const { leader, owner: other } = JSON.parse(line) as { leader: number; owner: string };
      const all = descendantsOf(child.pid as number);
      t.ok(all.includes(leader));
      child.kill(signal);
      await once(child, 'close');
      await eventually(
        () => all.filter((pid) => existsSync(`/proc/${pid}`)),
        (running) => running.length === 0,
      );
      // Fewer where a test beside this one has swept meanwhile.
      t.ok(cgroups(other).length <= left);
      sweepCgroups();
      t.same(cgroups(other), []);
    });
  }

  t.test("nothing of the bake's environment is in the image", async (t) => {
    t.match(canary, /^[0-9a-f]{48}$/);
    t.equal(spawnSync('grep', ['-rlF', '--devices=skip', canary, root], { encoding: 'utf8' }).stdout, '');
  });
}
