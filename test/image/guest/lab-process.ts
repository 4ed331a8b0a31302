import { mkdirSync } from 'node:fs';
import { removeOwnCgroups, sweepCgroups } from './cgroup.ts';
import { labFolder, labNetwork, outsideNetwork } from './folders.ts';

const variable = 'PINION_LAB';

/** Whether this process is in a lab of its own; a process it starts is only in its parent's. */
export const isInLab = (): boolean => process.env[variable] === String(process.pid);

/** Names of `ip netns` live in a folder of the machine: here in one that this process alone sees. What it mounts and names goes with its last process. */
const enter = `
set -e
mount -t tmpfs -o mode=0755 pinion-lab "$1"
touch "$2" "$3"
mount --bind /proc/self/ns/net "$2"
mkdir -p /run/netns
mount -t tmpfs -o mode=0755 pinion-netns /run/netns
inside=$3
shift 3
exec unshare --net -- sh -c 'mount --bind /proc/self/ns/net "$0" && exec "$@"' "$inside" "$@"
`;

/**
 * Replaces this process by itself in a lab (execve(2)), with `environment` beside what it has; in one already it returns, and sees to it that
 * its end, also by a signal, ends its guests and takes their cgroups away.
 */
export function enterLab(environment: Readonly<Record<string, string>> = {}): void {
  if (isInLab()) {
    for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) {
      process.once(signal, () => process.exit(128 + number));
    }
    process.once('exit', removeOwnCgroups);
    return;
  }
  sweepCgroups();
  mkdirSync(labFolder, { recursive: true });
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const argv = ['unshare', '--mount', '--', 'sh', '-c', enter, 'sh', labFolder, outsideNetwork, labNetwork, ...self];
  process.execve?.('/usr/bin/unshare', argv, { ...process.env, ...environment, [variable]: String(process.pid) } as Record<string, string>);
}
