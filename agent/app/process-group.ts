import { accessSync, constants, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

const setpriv = '/usr/bin/setpriv';

/** A command that gets SIGTERM when whoever started it ends, however that ends; as it was where util-linux is missing. */
export function withDeathSignal(command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  try {
    accessSync(setpriv, constants.X_OK);
    return [setpriv, '--pdeathsig', 'TERM', '--', ...command];
  } catch {
    return command;
  }
}

type Recorded = { readonly pid: number; readonly startedAtTicks: string; readonly folder: string };

/** Writes down which group a process leads that was started in `folder`, so that the agent after a killed one can end it. */
export function recordGroup(file: string, pid: number, folder: string): void {
  const started = readStat(pid);
  if (started !== undefined)
    writeFileSync(file, JSON.stringify({ pid, startedAtTicks: started.startedAtTicks, folder: realpathSync(folder) } satisfies Recorded));
}

/** Ends the group that `file` names, if its leader is still the process that was recorded. A file that says nothing of use is removed. */
export async function endRecordedGroup(file: string): Promise<void> {
  const recorded = readRecorded(file);
  if (recorded !== undefined && isStillThere(recorded)) await endGroup(recorded.pid);
  rmSync(file, { force: true });
}

/** A pid is given out again; the start time tells the same leader from another. Where it was killed too, its workers are left: they work in its folder. */
function isStillThere({ pid, startedAtTicks, folder }: Recorded): boolean {
  const leader = readStat(pid);
  return leader === undefined ? members(pid).some((member) => folderOf(member) === folder) : leader.startedAtTicks === startedAtTicks;
}

function folderOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** A process in an uninterruptible sleep takes no signal; who still holds the port is named by the next start. */
const endMs = 5_000;

/** SIGKILL to a whole process group; resolves when none of it runs any more, or after five seconds. */
export async function endGroup(group: number): Promise<void> {
  for (const deadline = performance.now() + endMs; performance.now() < deadline; await wait(1)) {
    try {
      // Before anything is looked up: where no descriptor is left, /proc cannot be read.
      process.kill(-group, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      return;
    }
    if (members(group).length === 0) return;
  }
}

function readRecorded(file: string): Recorded | undefined {
  try {
    const { pid, startedAtTicks, folder } = JSON.parse(readFileSync(file, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 1 && typeof startedAtTicks === 'string' ? { pid, startedAtTicks, folder } : undefined;
  } catch {
    return undefined;
  }
}

// A zombie that nobody has reaped yet holds nothing: kill(-group, 0) would still find it.
const members = (group: number): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      const stat = Number.isInteger(pid) ? readStat(pid) : undefined;
      return stat !== undefined && stat.group === group && stat.state !== 'Z' && stat.state !== 'X';
    });

/** Process ids of a process's children (proc_pid_children(5)); empty when it is gone. */
export function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Fields 3, 5 and 22 of proc_pid_stat(5); the name before them may hold anything but ends at the last parenthesis. */
function readStat(pid: number): { state: string; group: number; startedAtTicks: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', group: Number(fields[2]), startedAtTicks: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}
