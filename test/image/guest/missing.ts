import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Test } from 'tap';
import { cgroupRoot } from './cgroup.ts';

/** A program and the Debian package it comes from. */
const programs: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  'systemd-nspawn': 'systemd-container',
  packer: 'packer',
  ip: 'iproute2',
  nft: 'nftables',
  dnsmasq: 'dnsmasq-base',
  slirp4netns: 'slirp4netns',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  flock: 'util-linux',
  mount: 'mount',
  'ssh-keygen': 'openssh-client',
};
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** What this machine lacks to boot guests, with the command that brings it; undefined where nothing is missing. */
export function missingForGuests(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return `the image is for Linux on amd64, this is ${process.platform} on ${process.arch}`;
  if (process.getuid?.() !== 0) return 'guests are booted by root, run it as root';
  if (!folders().includes('/usr/sbin')) return '/usr/sbin is not on PATH, as in a login shell of root: su -';
  if (cgroupRoot === undefined) return 'cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup';
  if (!isAllowed(cgroupRoot, constants.W_OK)) return `${cgroupRoot} cannot be written: give this container its cgroups`;
  const absent = Object.keys(programs).filter((program) => !folders().some((folder) => isAllowed(join(folder, program), constants.X_OK)));
  const packages = new Set(absent.map((program) => programs[program]));
  if (!existsSync(keyring)) packages.add('debian-archive-keyring');
  if (packages.size === 0) return undefined;
  // Debian 12 is the last to have it.
  const packer = packages.has('packer') ? '; where Debian has no packer, take the one of its makers' : '';
  return `${[...absent, ...(existsSync(keyring) ? [] : [keyring])].join(', ')} missing: apt-get install ${[...packages].join(' ')}${packer}`;
}

/** Whether guests can be booted here. If not, the test is skipped by name; with CI=true it fails. Use: `if (!needsGuest(t)) return;` */
export function needsGuest(t: Pick<Test, 'plan' | 'fail'>): boolean {
  const missing = missingForGuests();
  if (missing === undefined) return true;
  if (process.env.CI === 'true') t.fail(missing);
  else t.plan(0, missing);
  return false;
}

const folders = (): string[] => (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');

function isAllowed(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
