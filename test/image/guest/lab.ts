import { existsSync, readFileSync } from 'node:fs';
import { command } from './command.ts';
import { startDaemon } from './daemon.ts';
import { labNetwork, outsideNetwork } from './folders.ts';
import { forward } from './forward.ts';
import { isInLab } from './lab-process.ts';

/** A test, or whatever else undoes at its end. */
export type Teardown = { teardown(work: () => unknown): unknown };
type Target = { readonly host: string; readonly port: number };

/** The first and only host beside the instances: their gateway, their resolver, and where the test's own servers are. */
export const labAddress = '10.77.0.1';
export const labAddressV6 = 'fd77::1';
export const bridge = 'lab0';
/** Where the metadata service is for an instance (EC2 User Guide, "Access instance metadata"). */
const imdsAddresses = ['169.254.169.254', 'fd00:ec2::254'];
const firstHost = 10;
const lastHost = 60;

export const addressOf = (host: number): string => `10.77.0.${host}`;
export const addressV6Of = (host: number): string => `fd77::${host}`;
export const macOf = (host: number): string => `02:00:0a:4d:00:${host.toString(16).padStart(2, '0')}`;
/** As EC2 names a host after its address. */
export const hostnameOf = (host: number): string => `ip-${addressOf(host).replaceAll('.', '-')}`;

export type Lab = {
  /** The host number of an instance's network, which no other has meanwhile. */
  takeHost(): number;
  giveBackHost(host: number): void;
  /** Who answers this caller at the metadata service's address; undefined for nobody. */
  setImds(caller: string, endpoint: string | undefined): void;
  /** The URL under which instances reach what listens on this process's loopback at `url`. */
  expose(url: string): Promise<string>;
  /** Lets instances out through this machine's own network, as a NAT gateway does. Without it they reach the lab and nothing else. */
  openGateway(): Promise<void>;
};

/** The subnet that instances are in: a bridge, DHCP, and the metadata service's address. Needs a process that `enter-lab.ts` put into a lab. */
export async function openLab(t: Teardown): Promise<Lab> {
  if (!isInLab()) throw new Error("this process is in no lab: make `import './guest/enter-lab.ts'` its first import");
  await command(['ip', '-batch', '-'], { input: hasV6() ? `${subnet}${subnetV6}` : subnet });
  t.teardown(() => command(['ip', '-batch', '-'], { input: `link delete ${bridge}\nroute delete unreachable default\n` }));
  // What goes elsewhere is answered, by "unreachable", and not dropped: nobody has to wait for it.
  await command(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1']);

  const imds = new Map<string, Target>();
  const services = await Promise.all(imdsAddresses.slice(0, hasV6() ? 2 : 1).map((address) => forward(address, 80, (caller) => imds.get(caller))));
  const dhcp = await startDhcp();
  t.teardown(() => Promise.all([dhcp.stop(), ...services.map((service) => service.stop())]));

  const taken = new Set<number>();
  return {
    takeHost() {
      for (let host = firstHost; host <= lastHost; host++) {
        if (taken.has(host)) continue;
        taken.add(host);
        return host;
      }
      throw new Error(`the lab's subnet has ${lastHost - firstHost + 1} addresses, and all are in use`);
    },
    giveBackHost: (host) => void taken.delete(host),
    setImds(caller, endpoint) {
      if (endpoint === undefined) imds.delete(caller);
      else imds.set(caller, targetOf(endpoint));
    },
    async expose(url) {
      const target = targetOf(url);
      const { port, stop } = await forward(labAddress, target.port, () => target);
      t.teardown(stop);
      return `http://${labAddress}:${port}`;
    },
    async openGateway() {
      const gateway = await startGateway();
      t.teardown(gateway.stop);
    },
  };
}

/** Whether the kernel has IPv6, and this network may use it. */
export function hasV6(): boolean {
  const switchedOff = '/proc/sys/net/ipv6/conf/all/disable_ipv6';
  return existsSync(switchedOff) && readFileSync(switchedOff, 'utf8').trim() === '0';
}

const targetOf = (url: string): Target => ({ host: new URL(url).hostname, port: Number(new URL(url).port) });

const subnet = `
link set lo up
link add ${bridge} type bridge
address add ${labAddress}/24 dev ${bridge}
address add ${imdsAddresses[0]}/32 dev ${bridge}
link set ${bridge} up
route add unreachable default metric 4000000000
`;
// Without duplicate address detection, which would keep an address unusable for a second.
const subnetV6 = `
address add ${labAddressV6}/64 dev ${bridge} nodad
address add ${imdsAddresses[1]}/128 dev ${bridge} nodad
`;

/** A VPC's DHCP: each instance gets the address that goes with its MAC, its gateway and its resolver. */
async function startDhcp() {
  const hosts = Array.from({ length: lastHost - firstHost + 1 }, (_, at) => firstHost + at);
  return startDaemon(
    [
      ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-hosts', '--no-resolv', '--no-ping', '--leasefile-ro', '--user=root'],
      ...[`--listen-address=${labAddress}`, '--bind-interfaces', '--log-facility=-', '--server=10.0.2.3'],
      ...[`--dhcp-range=${addressOf(firstHost)},static,255.255.255.0,1h`, '--dhcp-authoritative', '--domain=ec2.internal'],
      ...hosts.map((host) => `--dhcp-host=${macOf(host)},${addressOf(host)},${hostnameOf(host)}`),
    ],
    /started, version/,
  );
}

/** TCP and UDP of the lab go out as this machine's own, by a process in its network and no change to it. */
async function startGateway() {
  const outside = ['nsenter', `--net=${outsideNetwork}`, '--'];
  const slirp = ['slirp4netns', '--configure', '--mtu=65520', '--disable-host-loopback', '--netns-type=path', labNetwork, 'out0'];
  const daemon = await startDaemon([...outside, ...slirp], /received tapfd/);
  const nat = 'table ip pinion-gateway { chain out { type nat hook postrouting priority srcnat; oifname "out0" masquerade; }; }';
  await command(['nft', '-f', '-'], { input: nat });
  return daemon;
}
