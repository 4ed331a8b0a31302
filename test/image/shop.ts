/** An instance of the image that boots a release of one small app, and what tests ask of it. */
import type { Test } from 'tap';
import type { AgentEvent } from '../../contract/events.ts';
import type { Readiness, Status } from '../../contract/status.ts';
import type { UserData } from '../../contract/user-data.ts';
import { startAutoScaling } from '../support/auto-scaling.ts';
import { type Cloud, startCloud } from '../support/cloud.ts';
import { type FaultingProxy, startFaultingProxy } from '../support/faulting-proxy.ts';
import { get } from '../support/launched.ts';
import { buildForGuest } from './guest/artifact.ts';

import { bootGuest, type Guest } from './guest/guest.ts';
import { sealedImage } from './guest/image.ts';
import { type Instance, launchInstance } from './guest/instance.ts';
import type { Lab } from './guest/lab.ts';

/** `POST /run` runs a line of shell as the app's user in the app's own sandbox; `/` says which arbiter serves. */
const source = `
import base64, json, os, subprocess, time
from flask import Flask, request
app = Flask(__name__)
print("imported with", os.environ["SECRET"], flush=True)

@app.get("/healthz")
def healthz():
    return "ok"

@app.get("/")
def arbiter():
    return str(os.getppid())

@app.get("/slow")
def slow():
    time.sleep(float(request.args["seconds"]))
    return "slow"

@app.post("/run")
def run():
    done = subprocess.run(request.get_data(as_text=True), shell=True, capture_output=True, text=True, timeout=60)
    return json.dumps({"end": done.returncode, "said": done.stdout + done.stderr})

@app.get("/environment")
def environment():
    return json.dumps({name.decode(): base64.b64encode(value).decode() for name, value in os.environb.items()})
`;

export const secret = 'canary-5f1c09e7';

export type Released = {
  readonly cloud: Cloud;
  readonly appDir: string;
  readonly userData: UserData;
  readonly proxy: FaultingProxy;
  readonly endpoint: string;
  /** Auto Scaling that takes whatever is said of a hook, at a URL for instances. */
  readonly autoScaling: { readonly endpoint: string; readonly asked: (instance: string) => readonly string[] };
};

/** A release of the app in a cloud of its own, whose requests are seen: one artifact for all tests. */
export async function release(t: Test, lab: Lab, config: Readonly<Record<string, string>> = {}): Promise<Released> {
  const values = { SECRET: secret, ...config };
  const cloud = await startCloud(t);
  const settings = `entry-point = "shop:app"\ninclude = ["shop.py"]\nconfig = ${JSON.stringify(Object.keys(values))}\n[tool.pinion.gunicorn]\ngraceful-timeout-seconds = 10\n`;
  const { appDir } = await buildForGuest(t.testdir(), { files: { 'shop.py': source }, settings });
  const userData = await cloud.releaseBuilt(appDir, values);
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  return { cloud, appDir, userData, proxy, endpoint: await lab.expose(proxy.url), autoScaling: await exposeAutoScaling(t, lab) };
}

export type Shop = {
  readonly guest: Guest;
  readonly instance: Instance;
  /** The app, and the agent's readiness. */
  readonly url: string;
  readonly health: string;
  readonly readyz: () => Promise<{ readonly status: number; readonly body: Readiness }>;
  /** The agent's events since the last boot of the guest. */
  readonly events: () => Promise<readonly AgentEvent[]>;
  /** Resolves with the milliseconds from PID 1's start to ready. */
  readonly untilReady: () => Promise<number>;
  readonly status: () => Promise<Status>;
  /** What was asked of Auto Scaling for this instance, in short: `complete launch CONTINUE`. */
  readonly asked: () => readonly string[];
  /** Runs a line of shell as the app does. */
  readonly asApp: (line: string) => Promise<{ readonly end: number; readonly said: string }>;
};

type ShopOptions = {
  readonly userData?: UserData | string | Buffer;
  /** Variables of the agent's service beside those of the lab. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
};

export async function exposeAutoScaling(t: Test, lab: Lab): Promise<Released['autoScaling']> {
  const { endpoint, asked } = await startAutoScaling(t);
  return { endpoint: await lab.expose(endpoint), asked };
}

/** Boots the image with this release's user data. Only the endpoints of the lab are added to it. */
export async function bootShop(t: Test, lab: Lab, { userData, endpoint, autoScaling }: Released, options: ShopOptions = {}): Promise<Shop> {
  const instance = await launchInstance(t, lab, { userData: options.userData ?? userData });
  const environment = Object.entries({ AWS_ENDPOINT_URL: endpoint, AWS_ENDPOINT_URL_AUTO_SCALING: autoScaling.endpoint, ...options.environment });
  const dropIn = `[Service]\n${environment.map(([name, value]) => `Environment='${name}=${value}'\n`).join('')}`;
  const files = { '/etc/systemd/system/pinion-agent.service.d/lab.conf': dropIn, ...options.files };
  const { root } = await sealedImage();
  const guest = await bootGuest(t, { root, network: instance.network, files });
  const host = `http://${instance.network.address}`;
  return {
    guest,
    instance,
    url: `${host}:8000`,
    health: `${host}:8081/readyz`,
    async readyz() {
      const { status, body } = await get(`${host}:8081/readyz`);
      return { status, body: JSON.parse(body) };
    },
    async events() {
      const entries = await guest.journal(agentUnit);
      return entries.flatMap(({ message }) => (message.startsWith('{') ? [JSON.parse(message) as AgentEvent] : []));
    },
    async untilReady() {
      const entry = await guest.untilLogged(agentUnit, ({ message }) => message.includes('"to":"ready"'), 30_000);
      return entry.atMs - guest.startedAtMs;
    },
    status: async () => JSON.parse((await guest.exec(['pinion-agent', 'status', '--json'])).stdout),
    asked: () => autoScaling.asked(instance.id),
    async asApp(line) {
      const response = await fetch(`${host}:8000/run`, { method: 'POST', body: line, headers: { connection: 'close' } });
      return (await response.json()) as { end: number; said: string };
    },
  };
}

export const agentUnit = 'pinion-agent.service';
export const appUnit = 'pinion-app.service';

/** The process that systemd knows as a unit's own. */
export const mainPid = async (guest: Guest, unit: string): Promise<number> => Number((await guest.unit(unit)).MainPID);
