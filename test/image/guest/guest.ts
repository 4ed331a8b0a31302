import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Ended } from '../../support/run-files.ts';
import { type Cgroup, makeCgroup } from './cgroup.ts';
import { command } from './command.ts';
import { type Container, rebootStatus, startContainer } from './container.ts';
import { labFolder } from './folders.ts';
import { type Command, finish, type InsideProcess, type RunAs, spawnInside } from './inside.ts';
import { type Journal, journalOf, onOurClock } from './journal.ts';
import type { Teardown } from './lab.ts';
import { lacks } from './lacks.ts';
import type { GuestNetwork } from './network.ts';

type GuestOptions = {
  /** A tree that the guest reads and never changes. */
  readonly root: string;
  readonly network: GuestNetwork;
  /** Laid over the tree before the first boot, by absolute path: drop-ins and the like that only a rehearsal has. */
  readonly files?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
};
type ExecOptions = RunAs & { readonly timeoutMs?: number; readonly input?: string | Uint8Array };

/** A booted copy of the image. Every wait in it ends by a time limit. */
export type Guest = Journal & {
  readonly network: GuestNetwork;
  /** When its PID 1 began, on the clock of `performance.now()`. */
  readonly startedAtMs: number;
  /** Its PID 1, by the id it has out here. */
  readonly leader: number;
  /** Runs a program in it, as root or as `user`. Does not throw for one that fails. */
  exec(command: Command, options?: ExecOptions): Promise<Ended>;
  /** The same for one that must succeed: what it printed, without the last line's end. */
  ask(command: Command, options?: ExecOptions): Promise<string>;
  spawn(command: Command, options?: RunAs): InsideProcess;
  read(path: string): Promise<Buffer>;
  write(path: string, content: string | Uint8Array, mode?: number): Promise<void>;
  /** What /dev/console got since the last boot, without colours. */
  console(): string;
  /** `systemctl show` of a unit. */
  unit(name: string): Promise<Readonly<Record<string, string>>>;
  /** Resolves when the boot is over, with what `systemctl is-system-running` says: `running`, or `degraded` where a unit failed. */
  settled(): Promise<string>;
  /** What a second defence needs to be tested for, as this machine's kernel can't do it in a container: `memory control`, `IP filters of units`. */
  lacks(): Promise<readonly string[]>;
  /** Gives an order that ends it, such as `systemctl reboot`, and resolves when nothing of it runs, with nspawn's status. Its disk stays for `start`. */
  end(order: Command, timeoutMs?: number): Promise<number | string>;
  /** `systemctl reboot`: resolves when PID 1 of the next boot takes requests. Its disk stays, its network is made anew. */
  reboot(): Promise<void>;
  /** `systemctl poweroff`: resolves when nothing of it runs. Its disk stays for `start`. */
  poweroff(): Promise<void>;
  /** Power is cut. Its disk stays for `start`. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** What a program of its disk prints while it is off. */
  askDisk(command: readonly string[]): Promise<string>;
  /** Copies its disk, with owners and times, to a new folder; it must be off. */
  copyDisk(folder: string): Promise<void>;
  /** Kills it and takes its disk away; the end of the test does this. */
  stop(): Promise<void>;
};

let booted = 0;

/** Boots an instance of the tree in `root`: ready for `exec`, while its units still start. It ends with the test, and with this process however that ends. */
export async function bootGuest(t: Teardown, { root, network, files = {}, timeoutMs = 60_000 }: GuestOptions): Promise<Guest> {
  const disk = await mountDisk(root);
  let running: (Container & { readonly cgroup: Cgroup }) | undefined;
  let startedAtMs = 0;

  const container = () => {
    if (running === undefined) throw new Error('the guest is off');
    return running;
  };
  const start = async () => {
    // A cgroup for each boot: what nspawn made of the last one takes no process any more.
    const cgroup = makeCgroup();
    try {
      const { hostname, namespace } = network;
      running = { cgroup, ...(await startContainer({ root: disk.root, hostname, namespace, cgroup, timeoutMs })) };
    } catch (thrown) {
      cgroup.remove();
      throw thrown;
    }
    const usec = Number((await guest.ask('systemctl show --property=UserspaceTimestampMonotonic --value')).trim());
    startedAtMs = onOurClock(usec);
  };
  const ended = async (limitMs = timeoutMs): Promise<number | string> => {
    const end = await within(container().exited, limitMs, 'the end of the guest');
    container().cgroup.remove();
    running = undefined;
    return end;
  };
  const kill = async () => {
    if (running === undefined) return;
    running.cgroup.kill();
    await ended();
  };
  const exec = async (line: Command, { timeoutMs: limitMs = 30_000, input, ...as }: ExecOptions = {}) =>
    finish(spawnInside(container().leader, line, as), limitMs, input);
  const askBytes = async (line: Command, options?: ExecOptions) => {
    const { stdout, stderr, end } = await exec(line, options);
    if (end !== 0) throw new Error(`in the guest, ${typeof line === 'string' ? line : line.join(' ')} ended with ${end}: ${`${stdout}${stderr}`.trim()}`);
    return stdout;
  };
  const ask = async (line: Command, options?: ExecOptions) => (await askBytes(line, options)).toString().replace(/\n$/, '');

  const guest: Guest = {
    ...journalOf((line) => spawnInside(container().leader, line), ask),
    network,
    get startedAtMs() {
      return startedAtMs;
    },
    get leader() {
      return container().leader;
    },
    async exec(line, options) {
      const { stdout, ...rest } = await exec(line, options);
      return { ...rest, stdout: stdout.toString() };
    },
    ask,
    spawn: (line, options) => spawnInside(container().leader, line, options),
    read: (path) => askBytes(['cat', '--', path]),
    async write(path, input, mode = 0o644) {
      await ask(['sh', '-c', 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"', 'sh', path, mode.toString(8)], { input });
    },
    console: () => container().console(),
    async unit(name) {
      const lines = (await ask(['systemctl', 'show', '--', name])).split('\n');
      return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    },
    settled: async () => (await exec(['systemctl', 'is-system-running', '--wait'], { timeoutMs })).stdout.toString().trim(),
    lacks: () => lacks(guest, container().cgroup),
    async end(order, limitMs = 120_000) {
      const { end, stderr } = await exec(order);
      try {
        return await ended(limitMs);
      } catch (cause) {
        throw new Error(`the guest still runs, ${typeof order === 'string' ? order : order.join(' ')} ended with ${end}: ${stderr.trim()}`, { cause });
      }
    },
    async reboot() {
      const end = await guest.end(['systemctl', 'reboot']);
      if (end !== rebootStatus) throw new Error(`the guest was to reboot and ended with ${end}`);
      await network.renew();
      await start();
    },
    async poweroff() {
      const end = await guest.end(['systemctl', 'poweroff']);
      if (end !== 0) throw new Error(`the guest was to power off and ended with ${end}`);
    },
    kill,
    async start() {
      if (running !== undefined) throw new Error('the guest runs already');
      await network.renew();
      await start();
    },
    async askDisk(argv) {
      if (running !== undefined) throw new Error('the guest still runs');
      return command(['chroot', disk.root, ...argv]);
    },
    async copyDisk(folder) {
      if (running !== undefined) throw new Error('the guest still runs');
      await command(['cp', '-a', disk.root, folder]);
    },
    async stop() {
      await kill();
      await disk.remove();
    },
  };
  t.teardown(() => guest.stop());
  await disk.lay(files);
  await start();
  return guest;
}

/** The tree with a writable layer in the lab's memory: it goes with the lab, and many guests share the tree. */
async function mountDisk(tree: string) {
  const folder = join(labFolder, `guest-${++booted}`);
  const [root, upper, work] = ['root', 'upper', 'work'].map((name) => join(folder, name)) as [string, string, string];
  for (const made of [root, upper, work]) await mkdir(made, { recursive: true });
  await command(['mount', '-t', 'overlay', 'pinion-guest', '-o', `lowerdir=${tree},upperdir=${upper},workdir=${work}`, root]);
  return {
    root,
    async lay(files: Readonly<Record<string, string>>) {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(root, path)), { recursive: true });
        await writeFile(join(root, path), text);
      }
    },
    async remove() {
      await command(['umount', root]);
      await command(['rm', '-rf', folder]);
    },
  };
}

async function within<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  const late = AbortSignal.timeout(timeoutMs);
  return Promise.race([
    work,
    new Promise<never>((_, reject) => late.addEventListener('abort', () => reject(new Error(`${what} did not come within ${timeoutMs} ms`)), { once: true })),
  ]);
}
