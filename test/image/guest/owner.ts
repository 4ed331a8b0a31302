import { readFileSync } from 'node:fs';

/** This process in a name: its id and the clock tick it began at (proc_pid_stat(5), field 22), since ids come round again. */
export const owner = `${process.pid}.${startTick(process.pid)}`;

/** Whether the process that `owner` named still runs. */
export function isOwned(name: string): boolean {
  const [, pid, tick] = /(\d+)\.(\d+)/.exec(name) ?? [];
  return tick !== undefined && startTick(Number(pid)) === tick;
}

function startTick(pid: number): string | undefined {
  try {
    // The command's name, in parentheses, may hold blanks.
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[19];
  } catch {
    return undefined;
  }
}
