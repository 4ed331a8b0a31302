import { command } from './command.ts';
import { addressOf, addressV6Of, bridge, type Lab, macOf } from './lab.ts';

/** Where a machine with a kernel of its own is plugged into the lab's subnet; it has to ask for its address, as on EC2. */
export type TapNetwork = {
  readonly address: string;
  readonly addressV6: string;
  readonly mac: string;
  /** The TAP device, as QEMU takes it. */
  readonly device: string;
  remove(): Promise<void>;
};

export async function makeTapNetwork(lab: Lab): Promise<TapNetwork> {
  const host = lab.takeHost();
  const device = `tap-${host}`;
  await command(['ip', 'tuntap', 'add', 'dev', device, 'mode', 'tap']);
  await command(['ip', 'link', 'set', device, 'master', bridge, 'up']);
  return {
    address: addressOf(host),
    addressV6: addressV6Of(host),
    mac: macOf(host),
    device,
    async remove() {
      await command(['ip', 'link', 'delete', device]);
      for (const caller of [addressOf(host), addressV6Of(host)]) lab.setImds(caller, undefined);
      lab.giveBackHost(host);
    },
  };
}
