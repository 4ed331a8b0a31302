import { command } from './command.ts';
import { addressOf, addressV6Of, bridge, hasV6, hostnameOf, type Lab, labAddress, labAddressV6, macOf } from './lab.ts';

/** `static`: the interface is configured from outside, before the guest boots. `dhcp`: it comes as EC2 gives it, and the guest must ask. */
export type Addressing = 'static' | 'dhcp';

export type GuestNetwork = {
  readonly address: string;
  readonly addressV6: string;
  readonly mac: string;
  readonly hostname: string;
  /** Its namespace's name for `ip netns`. */
  readonly namespace: string;
  /** As a new machine has it: rules, routes and connections of the old one are gone. */
  renew(): Promise<void>;
  remove(): Promise<void>;
};

/** A network namespace with one interface, `ens5`, in the lab's subnet. */
export async function makeNetwork(lab: Lab, addressing: Addressing): Promise<GuestNetwork> {
  const host = lab.takeHost();
  const namespace = `instance-${host}`;
  const outer = `to-${host}`;
  const make = async () => {
    await command(['ip', 'netns', 'add', namespace]);
    await command(['ip', '-batch', '-'], {
      input: `
link add ${outer} type veth peer name ens5 netns ${namespace} address ${macOf(host)}
link set ${outer} master ${bridge} up
`,
    });
    await command(['ip', '-n', namespace, '-batch', '-'], { input: addressing === 'static' ? configured(host) : 'link set lo up\n' });
  };
  // Its half of the pair goes with the namespace, but not before the last process in there has: the other half's end is what can be waited for.
  const unmake = async () => {
    await command(['ip', 'link', 'delete', outer]);
    await command(['ip', 'netns', 'delete', namespace]);
  };
  await make();
  return {
    address: addressOf(host),
    addressV6: addressV6Of(host),
    mac: macOf(host),
    hostname: hostnameOf(host),
    namespace,
    async renew() {
      await unmake();
      await make();
    },
    async remove() {
      await unmake();
      for (const caller of [addressOf(host), addressV6Of(host)]) lab.setImds(caller, undefined);
      lab.giveBackHost(host);
    },
  };
}

const configured = (host: number): string => `
link set lo up
address add ${addressOf(host)}/24 dev ens5
link set ens5 up
route add default via ${labAddress}
route add 169.254.169.254/32 dev ens5
${hasV6() ? `address add ${addressV6Of(host)}/64 dev ens5 nodad\nroute add default via ${labAddressV6}` : ''}
`;
