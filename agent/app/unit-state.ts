import { constants } from 'node:os';
import type { Exit } from './restart.ts';

/** What systemd says of a service; `startedAtUs` (CLOCK_MONOTONIC) tells one run of it from the next. */
export type UnitState = {
  readonly isActive: boolean;
  /** 0 when no main process runs. */
  readonly pid: number;
  readonly startedAtUs: number;
  /** Below /sys/fs/cgroup; empty when nothing of it runs. */
  readonly controlGroup: string;
  /** How it went, in systemd's words, such as `success`, `exit-code`, `resources`. */
  readonly result: string;
  /** How the last main process ended. */
  readonly exit: Exit;
};

/** What `systemctl show` is asked for. */
export const unitProperties: readonly string[] = [
  'ActiveState',
  'MainPID',
  'Result',
  'ExecMainCode',
  'ExecMainStatus',
  'ExecMainStartTimestampMonotonic',
  'ControlGroup',
];

/** siginfo_t's si_code of a process that exited by itself (waitid(2): CLD_EXITED); all others ended by a signal. A run that goes on has neither: who started it ended the last one by systemd's SIGTERM. */
const exited = '1';
const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [String(number), name as NodeJS.Signals]));

/** The state in what `systemctl show` printed for one unit. */
export function readUnitState(text: string): UnitState {
  const values = new Map(text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  const value = (name: string) => values.get(name) ?? '';
  const [code, status] = [value('ExecMainCode'), value('ExecMainStatus')];
  return {
    isActive: value('ActiveState') === 'active',
    pid: Number(value('MainPID')),
    startedAtUs: Number(value('ExecMainStartTimestampMonotonic')),
    controlGroup: value('ControlGroup'),
    result: value('Result'),
    exit: code === exited ? { code: Number(status), signal: null } : { code: null, signal: signalNames.get(status) ?? 'SIGTERM' },
  };
}
