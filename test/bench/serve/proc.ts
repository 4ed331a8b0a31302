import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** In KB. `alone` is the PSS that the process would have if no other ran the same program. */
export type Memory = { readonly rss: number; readonly pss: number; readonly alone: number };

/**
 * PSS divides a shared page among those who map it. A host runs one Node process, a benchmark several of the same binary, which would flatter each of
 * them: so the pages of the binary count whole, and those of the C library by PSS, as gunicorn maps them on a host too (proc_pid_smaps(5)).
 */
export function memoryOf(pid: number): Memory {
  const total = { rss: 0, pss: 0, alone: 0 };
  let isBinary = false;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isBinary = line.endsWith(process.execPath);
    const [, name, kb] = /^(Rss|Pss):\s+(\d+)/.exec(line) ?? [];
    if (name === 'Rss') total.rss += Number(kb);
    if (name === 'Pss') total.pss += Number(kb);
    if (name === (isBinary ? 'Rss' : 'Pss')) total.alone += Number(kb);
  }
  return total;
}

/** Time on a processor, all threads, in ms: utime and stime of proc_pid_stat(5). */
export function cpuMsOf(pid: number): number {
  const fields = statOf(pid);
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}

/** The process group. */
export const groupOf = (pid: number): number => Number(statOf(pid)[2]);

/** Fields of proc_pid_stat(5) from the third on. */
function statOf(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

export const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Busy and total time of all processors since the machine started, in ticks (proc_stat(5)). */
export function machineTime(): { readonly busy: number; readonly total: number } {
  const [user = 0, nice = 0, system = 0, idle = 0, ioWait = 0, ...rest] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .map(Number);
  // Guest time is within user time.
  const interrupts = rest.slice(0, 3).reduce((sum, ticks) => sum + ticks, 0);
  const busy = user + nice + system + interrupts;
  return { busy, total: busy + idle + ioWait };
}
