import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * The process that listens on a TCP port, as `name (pid N)`; `an unknown process` when /proc does not show it (another user's).
 * Source of the columns: proc_net_tcp, Linux kernel documentation (state 0A is LISTEN, field 10 the inode).
 */
export function portHolder(port: number): string {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of lines(table).slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === '0A' && local?.endsWith(wanted) && inode !== undefined) inodes.add(`socket:[${inode}]`);
    }
  }
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (openFiles(pid).some((target) => inodes.has(target))) return `${lines(`/proc/${pid}/comm`)[0] ?? 'process'} (pid ${pid})`;
  }
  return 'an unknown process';
}

// Processes end while they are being looked at.
function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}

function openFiles(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}
