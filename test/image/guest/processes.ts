import { readFileSync } from 'node:fs';

/** Processes that `pid` started and that still run, by the ids they have out here. */
export const childrenOf = (pid: number): number[] => ofProc(`${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);

/** Whether `pid` is the first process of a process namespace, as a guest's systemd is. */
export const isFirst = (pid: number): boolean => /^NSpid:.*\t1$/m.test(ofProc(`${pid}/status`));

/** SIGKILL to `pid` and to all below it, from the top, so that none is taken for ended and replaced. */
export function killTree(pid: number): void {
  const children = childrenOf(pid);
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
  children.forEach(killTree);
}

function ofProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}
