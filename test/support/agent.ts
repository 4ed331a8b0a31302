import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { AgentEvent } from '../../contract/events.ts';
import type { Readiness } from '../../contract/status.ts';
import type { UserData } from '../../contract/user-data.ts';
import { region } from './cloud.ts';

const program = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));

type Options = {
  /** Where its state and runtime folders go. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Given to it as a file; undefined for an agent that asks IMDS. Text is written as it is. */
  readonly userData?: UserData | string;
};

export type AgentProcess = {
  readonly pid: number;
  readonly events: readonly AgentEvent[];
  /** What an instance's console shows. */
  readonly console: readonly string[];
  /** Resolves with the first event for which `isIt` holds, past or to come; rejects when the agent ends or fails before. */
  until<E extends AgentEvent>(isIt: (event: AgentEvent) => event is E): Promise<E>;
  untilState(name: string): Promise<void>;
  /** Resolves when the console shows a line: it and the log come by two pipes, in no order. */
  untilConsole(): Promise<void>;
  readyz(): Promise<{ readonly status: number; readonly body: Readiness }>;
  signal(name: NodeJS.Signals): void;
  /** Drains it; its exit status. */
  stop(): Promise<number | null>;
  readonly exited: Promise<number | null>;
};

/** Starts the real agent as an instance would, with no more of this process's environment than a service gets. */
export function agentProcess({ folder, environment, userData }: Options): AgentProcess {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'user-data');
  if (userData !== undefined) writeFileSync(file, typeof userData === 'string' ? userData : JSON.stringify(userData));
  // An agent must not outlive a test that is killed.
  const args = ['--pdeathsig', 'KILL', '--', process.execPath, program, 'run', ...(userData === undefined ? [] : ['--user-data', file])];
  const child = spawn('setpriv', args, {
    env: {
      PATH: process.env.PATH ?? '',
      ...(process.env.NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE }),
      STATE_DIRECTORY: join(folder, 'state'),
      RUNTIME_DIRECTORY: join(folder, 'run'),
      PINION_BIND: '127.0.0.1',
      PINION_HEALTH_PORT: '0',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const events: AgentEvent[] = [];
  const console: string[] = [];
  let wake: (() => void)[] = [];
  const changed = () => {
    const waiting = wake;
    wake = [];
    for (const resolve of waiting) resolve();
  };
  let exit: { code: number | null } | undefined;
  createInterface({ input: child.stdout }).on('line', (line) => {
    events.push(JSON.parse(line));
    changed();
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    console.push(line);
    changed();
  });
  const exited = new Promise<number | null>((resolve) =>
    child.once('close', (code) => {
      exit = { code };
      changed();
      resolve(code);
    }),
  );

  const until = async <E extends AgentEvent>(isIt: (event: AgentEvent) => event is E): Promise<E> => {
    for (;;) {
      const found = events.find(isIt);
      if (found !== undefined) return found;
      if (exit !== undefined) throw new Error(`the agent ended with ${exit.code}: ${console.join('\n')}`);
      if (events.some((event) => event.event === 'state' && event.to === 'failed')) throw new Error(`the agent failed: ${console.join('\n')}`);
      await new Promise<void>((resolve) => wake.push(resolve));
    }
  };
  const stop = () => {
    child.kill('SIGTERM');
    return exited;
  };
  return {
    pid: child.pid as number,
    events,
    console,
    until,
    untilState: async (name) => void (await until((event): event is AgentEvent & { event: 'state' } => event.event === 'state' && event.to === name)),
    async untilConsole() {
      while (console.length === 0 && exit === undefined) await new Promise<void>((resolve) => wake.push(resolve));
    },
    async readyz() {
      const { address } = await until((event): event is AgentEvent & { event: 'health-listening' } => event.event === 'health-listening');
      const response = await fetch(`http://${address}/readyz`);
      return { status: response.status, body: (await response.json()) as Readiness };
    },
    signal: (name) => child.kill(name),
    stop,
    exited,
  };
}

/** Endpoint, Region and keys for an agent that has no metadata service. */
export const withoutImds = (endpoint: string): Record<string, string> => ({
  AWS_ENDPOINT_URL: endpoint,
  AWS_REGION: region,
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
});
