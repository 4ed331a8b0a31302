import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './command.ts';
import { debianMirror } from './mirror.ts';
import { keyOf, stored } from './stored.ts';

const suite = 'trixie';
/**
 * What matters here of Debian's own cloud image, and nothing that it lacks: a dependency that the package or a provision script forgets must be
 * missed here too. cloud-init and netplan are what the bake takes away; without a kernel and a boot loader, as a container needs none.
 */
const packages = [
  ...['systemd', 'systemd-sysv', 'systemd-resolved', 'systemd-timesyncd', 'libpam-systemd', 'libnss-resolve', 'libnss-myhostname', 'dbus', 'udev'],
  ...['cloud-init', 'cloud-guest-utils', 'netplan.io', 'openssh-server', 'sudo', 'unattended-upgrades'],
  ...['python3', 'ca-certificates', 'curl', 'iproute2', 'iputils-ping', 'kmod', 'less', 'locales', 'nftables', 'procps', 'vim-tiny'],
];
const key = keyOf([suite, ...packages], ['test/image/guest/base.ts']);

/**
 * The root folder of a Debian as EC2 boots it before anything of ours is on it, from this machine's mirror, once. Made by mmdebstrap (50 s of two
 * processors; debootstrap took 130), which leaves no machine id, as Debian's images have none.
 */
export const baseRoot = (): Promise<string> =>
  stored('base', key, async (folder) => {
    const options = ['--mode=root', '--variant=minbase', '--aptopt=Acquire::Retries "3"', `--include=${packages.join(',')}`, '--quiet'];
    // It mounts in the tree it makes: in a namespace of its own, nothing of that is left when it is killed.
    await command(['unshare', '--mount', '--', 'mmdebstrap', ...options, suite, folder, debianMirror()], { timeoutMs: 600_000 });
    // This machine's, or an instance's own: an image has none.
    await rm(join(folder, 'etc/hostname'), { force: true });
  });
