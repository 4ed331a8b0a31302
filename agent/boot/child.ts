import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type CauseReport, Failure } from '../../contract/causes.ts';
import type { BootEvent, BootPhase } from '../../contract/events.ts';
import { readLines } from '../app/output.ts';
import { sayExit } from '../app/restart.ts';
import type { BootMessage } from './main.ts';
import type { Launch } from './prepare.ts';

export type BootProcess = {
  /** Tells everything so far and from now on. Exactly one of `onLaunch` and `onFailure` is called unless the process is stopped. */
  listen(listener: Listener): void;
  /** Resolves when the process is gone; it aborts its work and cleans up first. */
  stop(): Promise<void>;
};

type Listener = {
  readonly onEvent: (event: BootEvent) => void;
  readonly onLine: (line: string) => void;
  readonly onLaunch: (launch: Launch) => void;
  readonly onFailure: (report: CauseReport) => void;
};

const stopMs = 3_000;

/** Runs the boot in a process of its own, at once; it is listened to when the caller is ready. A death of the process is BOOT_CRASHED. */
export function startBoot(userDataFile: string | undefined): BootProcess {
  const program = fileURLToPath(new URL('./main.ts', import.meta.url));
  const child = fork(program, userDataFile === undefined ? [] : [userDataFile], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const listener = Promise.withResolvers<Listener>();
  const tell = (what: (to: Listener) => void) => void listener.promise.then(what);
  let phase: BootPhase | 'its start' = 'its start';
  let hasEnded = false;
  const end = (what: (to: Listener) => void) => {
    if (!hasEnded) tell(what);
    hasEnded = true;
  };
  const crashed = (exit: string, cause?: unknown) => end((to) => to.onFailure(new Failure('BOOT_CRASHED', { exit, phase }, { cause }).report));

  if (child.stderr !== null) readLines(child.stderr, (line) => tell((to) => to.onLine(line)));
  child.on('message', (message: BootMessage) => {
    if (message.event === 'launch') return end((to) => to.onLaunch(message.launch));
    if (message.event === 'boot-failed') {
      const { event: _, ...report } = message;
      return end((to) => to.onFailure(report));
    }
    if (message.event === 'phase-started') phase = message.phase;
    tell((to) => to.onEvent(message));
  });
  child.once('error', (error: NodeJS.ErrnoException) => crashed(error.code ?? error.message, error));
  // After its last words.
  child.once('close', (code, signal) => crashed(sayExit({ code, signal })));
  return {
    listen: listener.resolve,
    async stop() {
      end(() => {});
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const deadline = setTimeout(() => child.kill('SIGKILL'), stopMs);
      await exit;
      clearTimeout(deadline);
    },
  };
}
