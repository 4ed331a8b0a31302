import { readFileSync } from 'node:fs';

/** The most memory this process has held, in MB (proc(5), VmHWM). Not `resourceUsage().maxRSS`: that counts the parent's before the exec, too. */
export const peakMemoryMb = (): number => Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024);
