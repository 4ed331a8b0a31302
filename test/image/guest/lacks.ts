import type { Cgroup } from './cgroup.ts';
import type { Guest } from './guest.ts';

/** A datagram that a filter of the unit drops fails at once with EPERM; one that none stops is sent, or refused. */
const isFiltered = `
import socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))
    print('sent')
except PermissionError:
    print('filtered')
`;
let filters: boolean | undefined;

/** Kernel features that units use and this machine does not give a container, by name. What the kernel says once is true for all guests. */
export async function lacks(guest: Guest, { controllers }: Cgroup): Promise<readonly string[]> {
  if (filters === undefined) {
    const transient = ['systemd-run', '--quiet', '--pipe', '--wait', '--collect', '--property=IPAddressDeny=any'];
    filters = (await guest.ask([...transient, '/usr/bin/python3', '-c', isFiltered])) === 'filtered';
  }
  return [...(controllers.includes('memory') ? [] : ['memory control']), ...(filters ? [] : ['IP filters of units'])];
}
