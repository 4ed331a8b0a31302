import './guest/enter-lab.ts';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { eventually } from '../support/eventually.ts';
import { labAddress, labAddressV6, openLab } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';
import { agentUnit, appUnit, bootShop, mainPid, release } from './shop.ts';

const v4 = 'http://169.254.169.254/latest/api/token';
const v6 = 'http://[fd00:ec2::254]/latest/api/token';
/** A token asked for as an SDK does; it prints OK or the error. */
const ask = (url: string, method = 'PUT') =>
  `python3 -c 'import urllib.request as u; r = u.Request("${url}", method="${method}", headers={"x-aws-ec2-metadata-token-ttl-seconds": "60"}); print("OK", u.urlopen(r, timeout=3).status)' 2>&1 | tail -1`;

if (needsGuest(t)) {
  const lab = await openLab(t);
  const shop = await bootShop(t, lab, await release(t, lab));
  const { guest, asApp } = shop;
  await shop.untilReady();
  const asAgent = (line: string) => guest.exec(line, { user: 'pinion' });

  t.test('F46, N14: no process of the app reaches the metadata service, by whatever way; the agent does', async (t) => {
    const redirect = await redirectTo(t, v4);
    // As in a subnet with IPv6.
    await guest.ask(`ip -6 address add ${shop.instance.network.addressV6}/64 dev ens5 nodad && ip -6 route add default via ${labAddressV6}`);
    await guest.ask('echo "169.254.169.254 instance-data.ec2.internal" >>/etc/hosts');
    const ways = {
      IPv4: ask(v4),
      IPv6: ask(v6),
      'a name': ask('http://instance-data.ec2.internal/latest/api/token'),
      'a redirect': ask(redirect, 'GET'),
      'a process that left its session': `setsid sh -c '${ask(v4).replaceAll("'", `'\\''`)}'`,
    };
    t.match((await asAgent(ask(v4))).stdout, /^OK 200/, 'the agent does');
    t.match((await asAgent(ask(v6))).stdout, /^OK 200/, 'the agent does by IPv6');
    for (const [name, way] of Object.entries(ways))
      t.match((await asApp(way)).said, /No route to host|Permission denied|unreachable/, `${name}: refused at once`);

    const hasFilters = !(await guest.lacks()).includes('IP filters of units');
    await guest.ask(['nft', 'flush', 'ruleset']);
    if (hasFilters) t.match((await asApp(ask(v4))).said, /timed out/, 'without nftables the unit still does not');
    else t.comment('the kernel of this machine has no IP filters of units: IPAddressDeny= is not shown');
    await guest.ask(['systemctl', 'restart', 'pinion-firewall.service']);
    t.match((await asApp(ask(v4))).said, /No route to host|Permission denied|unreachable/, 'the rules are back');
  });

  t.test('F47: the app reads no file of the agent and no environment of another process', async (t) => {
    const closed = [
      '/run/pinion/app.env',
      '/run/pinion/launch.json',
      '/run/pinion/agent.sock',
      '/var/lib/pinion/releases/*.list',
      `/proc/${await mainPid(guest, agentUnit)}/environ`,
      '/run/log/journal/*/*',
    ];
    for (const path of closed) {
      t.not((await guest.exec(`ls -d ${path}`)).stdout, '', `${path} is there`);
      const { end, said } = await asApp(`cat ${path}`);
      t.ok(end !== 0 && !said.includes('SECRET'), `${path}: ${said.trim()}`);
    }
    t.match((await asApp('ls /run/pinion')).said, /denied|No such file/);
    for (const socket of ['/run/dbus/system_bus_socket', '/run/systemd/notify', '/run/systemd/private']) {
      t.equal((await asApp(`test -e ${socket}`)).end, 1, `${socket} is not there for it`);
    }
    t.equal((await asApp('stat --format=%U /proc/[0-9]* | sort -u')).said.trim(), 'pinion-app', 'it sees no process but its own');
    t.match((await asApp('cat /proc/self/environ | tr "\\0" "\\n" | grep -c ^SECRET=')).said, /^1/, 'and has its config');
  });

  t.test('an app without a role has no credentials', async (t) => {
    t.equal((await asApp('env | grep ^AWS_')).said, 'AWS_EC2_METADATA_DISABLED=true\n');
  });

  t.test('the app writes nowhere but in temporary folders of its own', async (t) => {
    const { said } = await asApp(
      'find / -xdev -writable \\( -type d -o -type f \\) -not -path "/proc/*" 2>/dev/null; for d in /dev/shm /tmp /var/tmp /run /run/lock /run/pinion-app /var/lib/pinion/current /sys/fs/cgroup /dev/mqueue; do touch $d/x 2>/dev/null && echo wrote $d; done; true',
    );
    t.same(
      said
        .split('\n')
        .filter((line) => line.startsWith('wrote'))
        .sort(),
      ['wrote /dev/mqueue', 'wrote /dev/shm', 'wrote /tmp', 'wrote /var/tmp'],
    );
    t.same(
      said.split('\n').filter((line) => line !== '' && !/^(wrote |\/tmp|\/var\/tmp|\/dev\/shm)/.test(line)),
      [],
    );
    for (const folder of ['/tmp', '/var/tmp', '/dev/shm', '/dev/mqueue'])
      t.equal((await guest.exec(['ls', `${folder}/x`])).end, 2, `${folder} of the host has none of it`);
  });

  t.test('the app manages no unit and signals no process; the agent manages the app alone', async (t) => {
    const agent = await mainPid(guest, agentUnit);
    for (const line of [
      `kill -9 ${agent}`,
      `kill -9 1`,
      `systemctl stop ${agentUnit}`,
      `systemctl restart ${appUnit}`,
      'systemctl start pinion-firewall.service',
      'systemd-run --no-block true',
    ]) {
      t.not((await asApp(line)).end, 0, line);
    }
    const denied = [
      'stop pinion-agent.service',
      'stop pinion-firewall.service',
      'restart nftables.service',
      'start pinion-app@x.service',
      'start pinion-app.service',
      'stop systemd-journald.service',
      'reload pinion-app.service',
      'mask pinion-app.service',
      'set-property pinion-app.service MemoryMax=1G',
      'daemon-reload',
      'reboot',
      'poweroff',
    ];
    for (const verb of denied) t.not((await asAgent(`systemctl --no-ask-password ${verb}`)).end, 0, verb);
    t.not((await asAgent('systemd-run --no-ask-password --no-block true')).end, 0, 'systemd-run');
    t.equal(await mainPid(guest, agentUnit), agent, 'the agent still runs');
  });

  t.test('the scores of the sandbox, and what the units say', async (t) => {
    for (const [unit, most] of [
      ['pinion-agent', 15],
      ['pinion-app', 15],
    ] as const) {
      const { stdout, end } = await guest.exec(['systemd-analyze', 'security', '--no-pager', `--threshold=${most}`, `${unit}.service`]);
      t.equal(end, 0, stdout.split('\n').findLast((line) => line.includes('Overall')) ?? stdout);
    }
    const { stdout, stderr } = await guest.exec([
      'systemd-analyze',
      'verify',
      '--no-pager',
      ...['agent.service', 'health.socket', 'app.service', 'app.socket', 'firewall.service'].map((name) => `pinion-${name}`),
    ]);
    t.equal(`${stdout}${stderr}`, '', 'systemd has nothing to say against them');
    t.match(await guest.unit(appUnit), { User: 'pinion-app', OOMPolicy: 'continue', LimitCORE: '0', NotifyAccess: 'none' });
    t.equal((await asApp('echo "$NOTIFY_SOCKET$WATCHDOG_USEC"')).said.trim(), '', 'S07: the app is told of no notification socket');
  });

  t.test('S20: a daemon that left the process group ends with the app', async (t) => {
    await asApp('setsid sh -c "sleep 600 & exec sleep 600" >/dev/null 2>&1 &');
    const sleeping = () => guest.exec(['pgrep', '--uid', 'pinion-app', '--count', 'sleep']);
    await eventually(sleeping, ({ stdout }) => Number(stdout) === 2);
    const arbiter = await mainPid(guest, appUnit);
    await guest.ask(['kill', '-KILL', String(arbiter)]);
    await eventually(
      () => mainPid(guest, appUnit),
      (pid) => pid !== 0 && pid !== arbiter,
    );
    t.equal((await sleeping()).stdout.trim(), '0');
    await eventually(shop.readyz, ({ status }) => status === 200);
    const all = (await guest.ask(['pgrep', '--uid', 'pinion-app'])).split('\n').length;
    t.equal(all, 3, 'one arbiter and two workers, no more');
  });
}

/** A server of the lab that sends every caller to `target`. */
async function redirectTo(t: Pick<Test, 'teardown'>, target: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(307, { location: target }).end());
  await new Promise<void>((resolve) => server.listen(0, labAddress, resolve));
  t.teardown(() => server.close());
  return `http://${labAddress}:${(server.address() as AddressInfo).port}/`;
}
