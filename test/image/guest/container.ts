import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { eventually } from '../../support/eventually.ts';
import type { Cgroup } from './cgroup.ts';
import { endingTogether } from './command.ts';
import { childrenOf, isFirst } from './processes.ts';

type ContainerOptions = {
  readonly root: string;
  /** Its host name, as EC2 derives it from the address. */
  readonly hostname: string;
  /** A network namespace of `ip netns`. */
  readonly namespace: string;
  readonly cgroup: Cgroup;
  readonly timeoutMs: number;
};

export type Container = {
  /** Its PID 1, by the id it has out here. */
  readonly leader: number;
  /** systemd-nspawn's exit status, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  /** What /dev/console got so far, without colours. */
  console(): string;
};

/** What systemd-nspawn ends with under --keep-unit when the guest asked for a reboot. */
export const rebootStatus = 133;

// Already in the guest's network: what nspawn mounts on /sys is that of the network it is in itself, whatever --network-namespace-path says (252).
const inNetwork = (namespace: string) => ['setpriv', '--pdeathsig', 'KILL', '--', 'nsenter', `--net=/run/netns/${namespace}`, '--'];
// Without a tmpfs there, nspawn ends with "Attempted to remove disk file system under …". Then it alone goes into the cgroup: with --keep-unit it
// splits the one it is in, which can have no process of its own then (cgroup-v2, "No Internal Process Constraint").
const prepared = (procsFile: string) => ['sh', '-c', 'mount -t tmpfs pinion-nspawn /run/systemd/nspawn && echo 0 >"$0" && exec "$@"', procsFile];

/** Boots the tree in `root`; resolves when its PID 1 takes requests. Throws with the console's last lines. */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  mkdirSync('/run/systemd/nspawn', { recursive: true });
  // SIGKILL to nspawn alone would leave its guest running.
  const [program, ...argv] = [...inNetwork(options.namespace), ...endingTogether, ...prepared(options.cgroup.procsFile), ...nspawn(options)];
  const child = spawn(program as string, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // The first: else version 252 mounts the v1 controllers, and a guest of today's systemd refuses them. The second: it may set its network's sysctls.
    env: { PATH: process.env.PATH, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1', SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'network' },
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  const console = () => stripVTControlCharacters(printed).replaceAll('\r', '');
  let end: number | string | undefined;
  const exited = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  exited.then((status) => {
    end = status;
  }, Object);
  const untilMs = performance.now() + options.timeoutMs;
  const leader = await eventually(
    () => {
      if (end !== undefined) throw new Error(`systemd-nspawn ended with ${end}: ${console().slice(-2_000)}`);
      if (performance.now() > untilMs) throw new Error(`no guest within ${options.timeoutMs} ms: ${console().slice(-2_000)}`);
      return leaderOf(child);
    },
    // systemctl of root speaks to this socket, before there is a bus.
    (pid) => pid !== undefined && existsSync(`/proc/${pid}/root/run/systemd/private`),
  );
  return { leader: leader as number, exited, console };
}

function nspawn({ root, hostname }: ContainerOptions): string[] {
  return [
    'systemd-nspawn',
    '--quiet',
    `--directory=${root}`,
    `--machine=${hostname}`,
    '--boot',
    // There may be no bus, nor a systemd, out here.
    '--register=no',
    '--keep-unit',
    // Not pipe: a guest of that has no /dev/console.
    '--console=read-only',
    '--resolv-conf=off',
    '--timezone=off',
    '--link-journal=no',
    // It has its network for itself, as an instance has: it may configure it, load rules of nftables and filter by BPF.
    '--capability=CAP_NET_ADMIN,CAP_BPF',
    '--system-call-filter=bpf',
  ];
}

/** unshare → nspawn → PID 1; a first, short-lived child of nspawn is not it. */
function leaderOf(child: ChildProcess): number | undefined {
  const [nspawnId] = childrenOf(child.pid as number);
  return nspawnId === undefined ? undefined : childrenOf(nspawnId).find(isFirst);
}
