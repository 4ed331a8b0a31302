/** An agent that is told to end: what it still serves, for how long, and what it leaves. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { Limits } from '../../agent/limits.ts';
import type { AgentEvent } from '../../contract/events.ts';
import type { UserData } from '../../contract/user-data.ts';
import { withoutImds } from '../support/agent.ts';
import { type Cloud, startCloud } from '../support/cloud.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultingProxy } from '../support/faulting-proxy.ts';
import { get, launch, limited, released, runningIn, starts } from '../support/launched.ts';
import { shortFolder } from '../support/short-folder.ts';
import { nth, states } from '../support/supervised.ts';

const source = `
import os, signal, subprocess, time
from flask import Flask
app = Flask(__name__)
@app.get("/healthz")
def healthz():
    return "ok"
@app.get("/slow/<float:seconds>")
def slow(seconds):
    print("slow begun", flush=True)
    time.sleep(seconds)
    return "done"
@app.get("/deaf")
def deaf():
    subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 600; done"])
    os.kill(os.getppid(), signal.SIGSTOP)
    return "deaf"
`;
const settings = 'entry-point = "shop:app"\ninclude = ["shop.py"]\ngunicorn.workers = 1\ngunicorn.graceful-timeout-seconds = ';
/** What a loaded machine may add. */
const slackMs = 2_500;

let cloud: Cloud;
let mark: string;
/** By graceful timeout; the app's own processes have `mark` in their environment. */
let patient: Awaited<ReturnType<typeof released>>;
let hasty: typeof patient;
t.before(async () => {
  cloud = await startCloud(t);
  mark = shortFolder(t);
  const withGrace = (seconds: number) => released(t, cloud, { source, settings: `${settings}${seconds}\n`, config: { MARK: mark } });
  patient = await withGrace(20);
  hasty = await withGrace(1);
});

const isTerminating = (event: AgentEvent): event is AgentEvent & { event: 'app-terminating' } => event.event === 'app-terminating';
const isExit = (event: AgentEvent): event is AgentEvent & { event: 'app-exited' } => event.event === 'app-exited';
const hasBegun = (event: AgentEvent): event is AgentEvent & { event: 'app-output' } => event.event === 'app-output' && event.line === 'slow begun';

/** The agent, ready, behind a balancer of these times. */
async function serving(t: Test, app: typeof patient, times: Partial<UserData['times']> = {}, limits: Partial<Limits> = {}) {
  const userData = { ...app.userData, times: { ...app.userData.times, ...times } };
  const running = await launch(t, cloud, { ...app, userData }, limited({ connectionsEveryMs: 20, killMarginMs: 300, ...limits }));
  await running.agent.untilState('ready');
  return running;
}

/** It has drained within `boundMs` of `sinceMs` (a time of `performance.now()`), and nothing is left. */
async function ended(t: Test, { agent, folder }: Awaited<ReturnType<typeof launch>>, sinceMs: number, boundMs: number) {
  t.equal(await agent.exited, 0);
  const tookMs = performance.now() - sinceMs;
  t.ok(tookMs < boundMs, `ended after ${Math.round(tookMs)} ms`);
  t.same([...runningIn(folder), ...runningIn(mark)], []);
}

/** A connection that has had one answer and is kept. */
async function kept(port: number) {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.write('GET /healthz HTTP/1.1\r\nHost: kept\r\n\r\n');
  await once(socket, 'data');
  return socket;
}

t.test('S33: readiness is red first; the app goes on serving until the balancer has noticed, and the request in flight ends', async (t) => {
  const settleMs = 3 * 300;
  const running = await serving(t, patient, { healthIntervalMs: 300 }, { drainSettleMs: 60_000 });
  const { agent, url } = running;
  const slow = get(`${url}/slow/2.0`);
  await agent.until(hasBegun);
  agent.signal('SIGTERM');
  const askedAt = performance.now();
  await agent.untilState('draining');
  t.ok(performance.now() - askedAt < settleMs, 'at once');
  const answers = new Set<string>();
  while (performance.now() - askedAt < settleMs - 100) {
    const { status, body } = await agent.readyz();
    answers.add(`${status} ${body.state}, app ${(await get(`${url}/healthz`)).status}`);
  }
  t.same([...answers], ['503 draining, app 200']);
  t.notOk(agent.events.some(isTerminating));
  t.same(await slow, { status: 200, body: 'done' });
  t.notOk(agent.events.some(isExit), 'gunicorn was not ended before it');
  await ended(t, running, askedAt, 2_000 + slackMs);
  t.same(states(agent), ['starting', 'ready', 'draining', 'stopped']);
  t.match(await agent.until(isTerminating), { cause: 'DRAIN' });
  t.match(await agent.until(isExit), { exit: 'exit status 0', wasKilled: false });
  t.same(agent.console, []);
});

t.test('the settle time follows the balancer: three of its health checks pass before gunicorn is told', async (t) => {
  const running = await serving(t, hasty, { healthIntervalMs: 400 }, { drainSettleMs: 60_000 });
  running.agent.signal('SIGTERM');
  const askedAt = performance.now();
  await running.agent.until(isTerminating);
  const settledMs = performance.now() - askedAt;
  t.ok(settledMs >= 1_190 && settledMs < 1_200 + slackMs, `${Math.round(settledMs)} ms`);
  await ended(t, running, askedAt, 1_200 + slackMs);
});

t.test('S33: a request that outlives the deregistration delay has the graceful timeout', async (t) => {
  const running = await serving(t, patient, { deregistrationDelayMs: 300 });
  const slow = get(`${running.url}/slow/2.0`);
  await running.agent.until(hasBegun);
  running.agent.signal('SIGTERM');
  const askedAt = performance.now();
  await running.agent.until(isTerminating);
  const toldMs = performance.now() - askedAt;
  t.ok(toldMs > 290 && toldMs < 1_800, `told after ${Math.round(toldMs)} ms`);
  t.same(await slow, { status: 200, body: 'done' });
  await ended(t, running, askedAt, 2_000 + slackMs);
});

t.test('S34: an idle connection held open bounds the drain by deregistration delay and graceful timeout', async (t) => {
  const running = await serving(t, hasty, { deregistrationDelayMs: 600 });
  const socket = await kept(running.port);
  t.teardown(() => socket.destroy());
  running.agent.signal('SIGTERM');
  const askedAt = performance.now();
  await running.agent.until(isTerminating);
  t.ok(performance.now() - askedAt > 590, 'it was waited for');
  await ended(t, running, askedAt, 600 + 1_000 + 300 + slackMs);
  t.match(await running.agent.until(isExit), { wasKilled: false });
});

t.test('S34: the last connection that closes ends the wait at once', async (t) => {
  const running = await serving(t, patient, { deregistrationDelayMs: 60_000 });
  const { agent, port, url } = running;
  const socket = await kept(port);
  agent.signal('SIGTERM');
  await agent.untilState('draining');
  t.equal((await get(`${url}/healthz`)).status, 200, 'it serves on');
  t.notOk(agent.events.some(isTerminating));
  socket.end();
  await ended(t, running, performance.now(), slackMs);
});

t.test('S35: the second signal ends the wait and spares the request, the third kills', async (t) => {
  const twice = await serving(t, patient);
  const spared = get(`${twice.url}/slow/1.5`);
  await twice.agent.until(hasBegun);
  twice.agent.signal('SIGTERM');
  await twice.agent.untilState('draining');
  t.notOk(twice.agent.events.some(isTerminating));
  twice.agent.signal('SIGTERM');
  await twice.agent.until(isTerminating);
  t.match(await twice.agent.readyz(), { status: 503, body: { state: 'draining' } });
  t.same(await spared, { status: 200, body: 'done' });
  await ended(t, twice, performance.now(), slackMs);
  t.match(await twice.agent.until(isExit), { wasKilled: false });

  const thrice = await serving(t, patient);
  const cut = t.rejects(get(`${thrice.url}/slow/60.0`), 'the request is cut');
  await thrice.agent.until(hasBegun);
  thrice.agent.signal('SIGTERM');
  await thrice.agent.untilState('draining');
  thrice.agent.signal('SIGTERM');
  await thrice.agent.until(isTerminating);
  thrice.agent.signal('SIGINT');
  await ended(t, thrice, performance.now(), slackMs);
  await cut;
  t.match(await thrice.agent.until(isExit), { exit: 'SIGKILL', wasKilled: true });
  t.same(states(thrice.agent), ['starting', 'ready', 'draining', 'stopped']);
});

t.test('S35: a signal while it boots aborts the download and leaves nothing of it', async (t) => {
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const body = { method: 'GET', path: /\.tar\.zst/ };
  proxy.fault(body, { do: 'stallAfter', bytes: 10_000 });
  const running = await launch(t, cloud, hasty, withoutImds(proxy.url));
  const { agent, folder } = running;
  const releases = join(folder, 'state', 'releases');
  await proxy.next(body);
  await eventually(
    () => readdirSync(releases),
    (names) => names.length > 0,
  );
  for (let sent = 0; sent < 3; sent++) agent.signal('SIGTERM');
  await ended(t, running, performance.now(), slackMs);
  t.same(readdirSync(releases), []);
  t.same(states(agent), ['stopped']);
  t.equal(starts(agent), 0);
  t.same(agent.console, []);
});

t.test('S35: a signal while a restart is due starts nothing any more', async (t) => {
  const hour = 3_600_000;
  const running = await serving(t, hasty, {}, { restartBaseMs: hour, restartCapMs: hour });
  const { agent, url } = running;
  // The start after what lasted is at once, the one after that waits.
  for (const count of [1, 2]) {
    process.kill((await nth(agent, count, 'app-started')).pid, 'SIGKILL');
    await nth(agent, count, 'app-exited');
  }
  t.match(await eventually(agent.readyz, ({ body }) => body.state === 'starting'), { status: 503, body: { cause: 'APP_EXITED' } });
  agent.signal('SIGTERM');
  await ended(t, running, performance.now(), slackMs);
  t.equal(starts(agent), 2);
  t.same(states(agent).slice(-2), ['starting', 'stopped']);
  await t.rejects(get(url));
});

t.test('S19: what ignores TERM is killed with its whole group at the deadline', async (t) => {
  const running = await serving(t, hasty);
  const { agent, url } = running;
  t.equal((await get(`${url}/deaf`)).body, 'deaf');
  await eventually(
    () => runningIn(mark),
    (commands) => commands.some((command) => command.startsWith('sleep 600')),
  );
  agent.signal('SIGTERM');
  const askedAt = performance.now();
  await ended(t, running, askedAt, 1_000 + 300 + slackMs);
  t.ok(performance.now() - askedAt > 1_290, 'not before graceful timeout and margin');
  t.match(await agent.until(isExit), { exit: 'SIGKILL', wasKilled: true });
});

const program = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));

/** Exit status and stderr of `pinion-agent` with these arguments. */
async function says(runtimeFolder: string, ...args: string[]) {
  const child = spawn(process.execPath, [program, ...args], { env: { RUNTIME_DIRECTORY: runtimeFolder }, stdio: ['ignore', 'ignore', 'pipe'] });
  const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  return `${status} ${stderr}`.trim();
}

t.test('exit statuses are those that --help lists', async (t) => {
  const running = await serving(t, patient, { deregistrationDelayMs: 60_000 });
  const { agent, folder, port } = running;
  const run = join(folder, 'run');
  t.equal(await says(run, 'status'), '0');
  const socket = await kept(port);
  agent.signal('SIGTERM');
  await agent.untilState('draining');
  t.equal(await says(run, 'status', '--json'), '4', 'not ready');
  socket.end();
  await ended(t, running, performance.now(), slackMs);
  t.match(await says(run, 'status'), /^1 pinion: AGENT_NOT_RUNNING: /);
  t.match(await says(run, 'run', '--no-such-option'), /^2 pinion: USAGE: /);
  t.match(await says(run), /^2 pinion-agent /);
});
