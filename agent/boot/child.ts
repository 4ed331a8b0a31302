import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type CauseReport, Failure } from '../../contract/causes.ts';
import type { AgentEvent, BootEvent, BootPhase } from '../../contract/events.ts';
import { readLines } from '../app/lines.ts';
import { sayExit } from '../app/restart.ts';
import { fullJitterMs } from '../jitter.ts';
import type { Limits } from '../limits.ts';
import type { BootMessage } from './main.ts';
import type { Launch } from './prepare.ts';

export type BootProcess = {
  /** Tells everything so far and from now on. Exactly one of `onLaunch` and `onFailure` is called unless the process is stopped. */
  listen(listener: Listener): void;
  /** Resolves when the process is gone; it aborts its work and cleans up first. */
  stop(): Promise<void>;
};

type SpawnFailed = Extract<AgentEvent, { event: 'boot-spawn-failed' }>;
type Listener = {
  readonly onEvent: (event: BootEvent | SpawnFailed) => void;
  readonly onLine: (line: string) => void;
  readonly onLaunch: (launch: Launch) => void;
  readonly onFailure: (report: CauseReport) => void;
};

const stopMs = 3_000;

/** What a host says that has no room for another process or file just now (fork(2), pipe(2)). */
const passing: ReadonlySet<string> = new Set(['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE']);

/** The boot as a program: beside this file in the sources, beside the agent's bundle in the image. */
export const bootProgram = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './boot.mjs', import.meta.url));

/**
 * Runs the boot in a process of its own, at once; it is listened to when the caller is ready. A death of the process is BOOT_CRASHED. A host that lets
 * no process start is asked again, until it does or the caller stops it.
 */
export function startBoot(userDataFile: string | undefined, limits: Pick<Limits, 'retryBaseMs' | 'retryCapMs'>): BootProcess {
  const listener = Promise.withResolvers<Listener>();
  const tell = (what: (to: Listener) => void) => void listener.promise.then(what);
  let phase: BootPhase | 'its start' = 'its start';
  let hasEnded = false;
  const end = (what: (to: Listener) => void) => {
    if (!hasEnded) tell(what);
    hasEnded = true;
  };
  const crashed = (exit: string, cause?: unknown) => end((to) => to.onFailure(new Failure('BOOT_CRASHED', { exit, phase }, { cause }).report));

  const onMessage = (message: BootMessage) => {
    if (message.event === 'launch') return end((to) => to.onLaunch(message.launch));
    if (message.event === 'boot-failed') {
      const { event: _, ...report } = message;
      return end((to) => to.onFailure(report));
    }
    if (message.event === 'phase-started') phase = message.phase;
    tell((to) => to.onEvent(message));
  };

  let child: ChildProcess | undefined;
  let again: NodeJS.Timeout | undefined;
  const start = (attempt: number) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const detail = error.code ?? error.message;
      if (!passing.has(detail) || hasEnded) return crashed(detail, error);
      const retryInMs = fullJitterMs(attempt, limits.retryBaseMs, limits.retryCapMs, Math.random());
      tell((to) => to.onEvent({ event: 'boot-spawn-failed', detail, retryInMs }));
      again = setTimeout(() => start(attempt + 1), retryInMs);
    };
    let started: ChildProcess;
    try {
      started = fork(bootProgram, userDataFile === undefined ? [] : [userDataFile], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    } catch (error) {
      return failed(error as NodeJS.ErrnoException);
    }
    started.once('error', failed);
    if (started.pid === undefined) return;
    child = started;
    if (child.stderr !== null) readLines(child.stderr, (line) => tell((to) => to.onLine(line)));
    child.on('message', onMessage);
    // After its last words.
    child.once('close', (code, signal) => crashed(sayExit({ code, signal })));
  };
  start(0);
  return {
    listen: listener.resolve,
    async stop() {
      end(() => {});
      clearTimeout(again);
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const deadline = setTimeout((process) => process.kill('SIGKILL'), stopMs, child);
      await exit;
      clearTimeout(deadline);
    },
  };
}
