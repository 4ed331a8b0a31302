import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Failure } from '../../contract/causes.ts';
import { requireFreePort } from '../port.ts';
import type { App, OnExit } from './app.ts';
import { readLines } from './lines.ts';
import { childrenOf, endGroup, endRecordedGroup, recordGroup, withDeathSignal } from './process-group.ts';
import type { Exit } from './restart.ts';
import { readEnvironment, recordFailure, requireInterpreter, scrubOf } from './start-checks.ts';
import { createTail } from './tail.ts';

const lastWordsMs = 200;

type Child = {
  readonly command: readonly [string, ...string[]];
  readonly environmentFile: string;
  readonly folder: string;
  readonly bind: { readonly host: string; readonly port: number };
  /** Where the running process group is written down for an agent that comes after a killed one. */
  readonly recordFile: string;
  /** Names whose values are kept out of what its output becomes. */
  readonly configNames: readonly string[];
  readonly onLine: (line: string) => void;
  readonly onExit: OnExit;
};

/**
 * gunicorn as a child in a process group of its own, for laptops and tests: it ends with the agent, by the parent-death signal where
 * setpriv (util-linux) is there, else because the next agent ends the recorded group. Its environment is the environment file, nothing else.
 */
export function createChildApp({ command, environmentFile, folder, bind, configNames, recordFile, onLine, onExit }: Child): App {
  const tail = createTail();
  let running: number | undefined;
  let wasKilled = false;
  let exit: Exit | undefined;

  const signal = (target: number, name: NodeJS.Signals) => {
    try {
      process.kill(target, name);
    } catch {
      // It ended a moment before.
    }
  };

  return {
    async start() {
      await endRecordedGroup(recordFile);
      tail.clear();
      wasKilled = false;
      exit = undefined;
      const [interpreter, ...args] = withDeathSignal(command);
      if (!existsSync(folder)) throw new Failure('TREE_MISSING', { path: folder });
      requireInterpreter(command[0]);
      // gunicorn itself would retry a taken port for five seconds and then end with status 1, which says nothing.
      await requireFreePort(bind);
      const env = readEnvironment(environmentFile);
      const scrub = scrubOf(env, configNames);
      const child = spawn(interpreter, args, { cwd: folder, env: Object.fromEntries(env), detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', (error: NodeJS.ErrnoException) =>
          reject(new Failure('APP_SPAWN_FAILED', { detail: error.code ?? error.message }, { cause: error })),
        );
      });
      const pid = child.pid as number;
      running = pid;
      try {
        recordGroup(recordFile, pid, folder);
      } catch (cause) {
        await endGroup(pid);
        running = undefined;
        throw recordFailure(recordFile, cause as NodeJS.ErrnoException);
      }
      for (const stream of [child.stdout, child.stderr]) {
        const keep = (line: string) => {
          tail.add(line);
          onLine(line);
        };
        readLines(stream, keep, { scrub });
      }
      const saidAll = new Promise((resolve) => child.once('close', resolve));
      child.once('exit', async (code, name) => {
        exit = { code, signal: name, wasKilled };
        // Orphaned workers would go on accepting beside the next start; what cannot be ended, the next start finds on its port.
        await endGroup(pid).catch(() => {});
        // What it said last may say why. A daemon that left the group can hold the pipe for ever.
        await Promise.race([saidAll, wait(lastWordsMs)]);
        for (const stream of [child.stdout, child.stderr]) stream.destroy();
        running = undefined;
        onExit({ code, signal: name, wasKilled });
      });
      return { pid, how: 'started' };
    },
    terminate() {
      if (running !== undefined) signal(running, 'SIGTERM');
    },
    kill() {
      wasKilled = true;
      if (running !== undefined) signal(-running, 'SIGKILL');
    },
    ended: () => exit,
    workers: () => (running === undefined ? [] : childrenOf(running)),
    tail: tail.lines,
    async close() {},
  };
}
