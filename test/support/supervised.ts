/** One release whose app does what its agent's folder says, and what a test asks about the agent that supervises it. */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { AgentEvent } from '../../contract/events.ts';
import type { Status } from '../../contract/status.ts';
import type { AgentProcess } from './agent.ts';
import { eventually } from './eventually.ts';
import { type launch, runningIn, statusOf } from './launched.ts';

type Launched = Awaited<ReturnType<typeof launch>>;

/** gunicorn's working directory is `app` in the release on disk: four levels below the agent's folder. */
export const faultySource = `
import os
from pathlib import Path
folder = Path.cwd().parents[3]
fault = folder / "fault.py"
if fault.exists():
    exec(fault.read_text())

import time
from flask import Flask
app = Flask(__name__)

@app.get("/healthz")
def healthz():
    return "ok"

@app.get("/")
def arbiter():
    return str(os.getppid())

@app.get("/held")
def held():
    (folder / "held").touch()
    time.sleep(600)
`;

/** Python that every worker of this agent's gunicorn runs when it imports the app, until `mend`. */
export function fault(folder: string, python: string): void {
  writeFileSync(join(folder, 'fault.partial'), python);
  renameSync(join(folder, 'fault.partial'), join(folder, 'fault.py'));
}
export const mend = (folder: string) => rmSync(join(folder, 'fault.py'));

/** The states it was in, in order. */
export const states = (agent: AgentProcess) => agent.events.flatMap((event) => (event.event === 'state' ? [event.to] : []));
type Named<N extends AgentEvent['event']> = Extract<AgentEvent, { event: N }>;
export const all = <N extends AgentEvent['event']>(agent: AgentProcess, name: N) => agent.events.filter((event): event is Named<N> => event.event === name);
/** Resolves with the `count`th event of this name that has these values, past or to come. */
export const nth = <N extends AgentEvent['event']>(agent: AgentProcess, count: number, name: N, values: Partial<Named<N>> = {}): Promise<Named<N>> => {
  const isOne = (event: AgentEvent) => event.event === name && Object.entries(values).every(([key, value]) => Reflect.get(event, key) === value);
  return agent.until((event): event is Named<N> => isOne(event) && agent.events.filter(isOne).indexOf(event) === count - 1);
};

/** Resolves when `isSo` holds: for what no event tells. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  await eventually(isSo, Boolean);
}
export const untilStatus = (folder: string, isSo: (status: Status) => boolean): Promise<Status> => eventually(() => statusOf(folder), isSo);

/** What readiness says from now until the function it gives is called: the statuses in order, each once in a row. */
export async function watchReadyz(agent: AgentProcess): Promise<() => Promise<readonly number[]>> {
  const seen: number[] = [];
  let isOver = false;
  const look = async () => {
    const { status } = await agent.readyz();
    if (seen.at(-1) !== status) seen.push(status);
    return isOver;
  };
  await look();
  const watching = until(look);
  return async () => {
    isOver = true;
    await watching;
    return seen;
  };
}

/** A zombie that nobody has reaped yet runs no more. */
export function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** It ends as it should, and leaves no process and nothing half done. */
export async function endsClean(t: Test, { agent, folder }: Launched): Promise<void> {
  t.equal(await agent.stop(), 0);
  t.same(runningIn(folder), [], 'no process is left');
  const partial = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.partial'));
  t.same(partial, [], 'nothing half done is left');
}
