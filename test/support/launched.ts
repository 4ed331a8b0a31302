/** A released app and the real agent that boots it, as a process: for tests of what an operator would see. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import type { Limits } from '../../agent/limits.ts';
import type { AgentEvent } from '../../contract/events.ts';
import type { Status } from '../../contract/status.ts';
import type { UserData } from '../../contract/user-data.ts';
import { type AgentProcess, agentProcess, withoutImds } from './agent.ts';
import { buildApp, type Cloud } from './cloud.ts';
import { freePort } from './free-port.ts';
import { shortFolder } from './short-folder.ts';

export const source = `
import os
from flask import Flask
app = Flask(__name__)
@app.get("/healthz")
def healthz():
    return "ok"
@app.get("/")
def index():
    return "release " + os.environ["PINION_RELEASE"] + " says " + os.environ.get("SECRET", "nothing")
`;
export const settings = 'entry-point = "shop:app"\ninclude = ["shop.py"]\n';
export const secret = 'pa"ss\\wo$rd\nwith `every`thing 🔑';
type AppOptions = {
  readonly source?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly settings?: string;
  readonly config?: Readonly<Record<string, string>>;
};

/** Built, with the secret in its config, and released. */
export async function released(t: Test, cloud: Cloud, options: AppOptions = {}) {
  const config = { SECRET: secret, ...options.config };
  const lines = `${options.settings ?? settings}config = ${JSON.stringify(Object.keys(config))}\n`;
  const built = await buildApp(shortFolder(t), { files: { 'shop.py': options.source ?? source, ...options.files }, settings: lines });
  return { ...built, userData: await cloud.releaseBuilt(built.appDir, config) };
}

type Launched = { readonly interpreter: string; readonly userData: UserData | string };

/** The agent on this release; drains without waiting for a balancer unless PINION_LIMITS says otherwise (`limited`). */
export async function launch(t: Test, cloud: Cloud, { interpreter, userData }: Launched, environment: Record<string, string> = {}, folder = shortFolder(t)) {
  const port = environment.PINION_TRAFFIC_PORT ?? String(await freePort());
  const ports = { PINION_PYTHON: interpreter, PINION_TRAFFIC_PORT: port, ...limited({}) };
  const startedAt = performance.now();
  const agent = agentProcess({ folder, userData, environment: { ...withoutImds(cloud.endpoint), ...ports, ...environment } });
  t.teardown(() => agent.stop());
  return { agent, folder, port: Number(port), url: `http://127.0.0.1:${port}`, sinceMs: () => performance.now() - startedAt };
}

/** The variable that gives an agent these limits. */
export const limited = (limits: Partial<Limits>): { PINION_LIMITS: string } => ({ PINION_LIMITS: JSON.stringify({ drainSettleMs: 0, ...limits }) });

/** One request on a connection of its own: one that is kept open would hold up a drain. */
export async function get(url: string): Promise<{ readonly status: number; readonly body: string }> {
  const call = request(url, { agent: false, headers: { connection: 'close' } }).end();
  const [response] = await once(call, 'response');
  return { status: response.statusCode, body: await text(response) };
}

export const isStart = (event: AgentEvent): event is AgentEvent & { event: 'app-started' } => event.event === 'app-started';
export const starts = (agent: AgentProcess) => agent.events.filter(isStart).length;

/** Command lines of the processes that name a path in `folder`. */
export const runningIn = (folder: string): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [command = '', environment = ''] = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
        return command.includes(folder) || environment.includes(folder) ? [command.replaceAll('\0', ' ')] : [];
      } catch {
        return [];
      }
    });

/** What `pinion-agent status --json` would say. */
export async function statusOf(folder: string): Promise<Status> {
  const call = request({ socketPath: join(folder, 'run', 'agent.sock'), path: '/status', agent: false }).end();
  const [response] = await once(call, 'response');
  return JSON.parse(await text(response));
}
