import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { Failure } from '../contract/causes.ts';

/** Resolves when nothing listens there. Throws PORT_IN_USE with the process that does, APP_SPAWN_FAILED for an address or port that cannot be listened on. */
export async function requireFreePort({ host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const address = `${host}:${port}`;
      const isTaken = cause.code === 'EADDRINUSE';
      reject(
        isTaken
          ? new Failure('PORT_IN_USE', { address, holder: portHolder(port) }, { cause })
          : new Failure('APP_SPAWN_FAILED', { detail: `${address} ${cause.code}` }, { cause }),
      );
    });
    server.listen({ host, port }, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}

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
  return processWith(inodes);
}

/** The first process that has one of these files open (as /proc/PID/fd links name them), as `name (pid N)`. */
export function processWith(files: ReadonlySet<string>): string {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (openFiles(pid).some((target) => files.has(target))) return `${lines(`/proc/${pid}/comm`)[0] ?? 'process'} (pid ${pid})`;
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
