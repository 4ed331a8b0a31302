/** An app that runs and does not answer, or not always: what readiness says of it, and when it is ended. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Limits } from '../../agent/limits.ts';
import type { AgentEvent } from '../../contract/events.ts';
import type { UserData } from '../../contract/user-data.ts';
import { type Cloud, startCloud } from '../support/cloud.ts';
import { eventually } from '../support/eventually.ts';
import { get, launch, limited, released, runningIn, starts, statusOf } from '../support/launched.ts';
import { shortFolder } from '../support/short-folder.ts';
import { endsClean, nth, states } from '../support/supervised.ts';

/** A file in FLAGS makes it misbehave. */
const source = `
import os, threading, time
from flask import Flask
app = Flask(__name__)
asked = 0
is_on = lambda flag: os.path.exists(os.environ["FLAGS"] + "/" + flag)
@app.get("/healthz")
def healthz():
    global asked
    asked += 1
    return ("no", 500) if is_on("broken") or is_on("flapping") and asked % 3 == 0 else "ok"
@app.get("/asked")
def how_often():
    return str(asked)
@app.get("/hang")
def hang():
    threading.Event().wait()
@app.get("/slow")
def slow():
    time.sleep(0.3)
    return "done"
@app.get("/")
def index():
    import socket
    socket.create_connection(("127.0.0.1", 1))
`;
/** One worker with two threads, and one request of its own that gunicorn cannot lose: `--timeout` does not see a thread that hangs. */
const threaded = 'gunicorn.workers = 1\ngunicorn.threads = 2\ngunicorn.timeout-seconds = 1\n';
const quick: Partial<Limits> = { probeIntervalMs: 50, probeTimeoutMs: 200, restartBaseMs: 1, restartCapMs: 2, killMarginMs: 300 };
/** What a loaded machine may add to any of these times. */
const slackMs = 2_000;

let cloud: Cloud;
let flags: string;
const apps = new Map<string, Promise<{ interpreter: string; userData: UserData }>>();
t.before(async () => {
  cloud = await startCloud(t);
  flags = shortFolder(t);
});

/** The agent, ready, with this app under these gunicorn settings. */
async function serving(t: Test, gunicorn: string, limits: Partial<Limits> = {}) {
  const settings = `entry-point = "shop:app"\ninclude = ["shop.py"]\ngunicorn.graceful-timeout-seconds = 1\n${gunicorn}`;
  const app = await (apps.get(settings) ?? apps.set(settings, released(t, cloud, { source, settings, config: { FLAGS: flags } })).get(settings));
  return launch(t, cloud, app as NonNullable<typeof app>, limited({ ...quick, ...limits }));
}

/** Sets a flag of the app; removed with the test. */
function raise(t: Test, flag: string) {
  writeFileSync(join(flags, flag), '');
  t.teardown(() => rmSync(join(flags, flag)));
}

/** Begins requests that nobody waits for. */
const begin = (count: number, url: string) => {
  for (; count > 0; count--) get(url).catch(() => {});
};
const output = (events: readonly AgentEvent[]) => events.flatMap((event) => (event.event === 'app-output' ? [event.line] : [])).join('\n');
const isExit = (event: AgentEvent): event is AgentEvent & { event: 'app-exited' } => event.event === 'app-exited';

t.test('S15: every thread hangs for ever: unready, and after its own limit ended and started again; gunicorn itself sees nothing', async (t) => {
  const hungMs = 2_000;
  const running = await serving(t, threaded, { hungMs });
  const { agent, folder, url } = running;
  await agent.untilState('ready');
  begin(2, `${url}/hang`);
  await agent.untilState('unready');
  const unreadyAt = performance.now();
  t.match(await agent.readyz(), { status: 503, body: { state: 'unready', cause: 'APP_UNHEALTHY', sentence: /\/healthz no good answer: no answer in 200 ms/ } });
  await agent.until((event): event is AgentEvent & { event: 'app-terminating' } => event.event === 'app-terminating' && event.cause === 'APP_UNHEALTHY');
  const hungForMs = performance.now() - unreadyAt;
  t.ok(hungForMs > hungMs - 100 && hungForMs < hungMs + slackMs, `ended after ${Math.round(hungForMs)} ms`);
  await nth(agent, 2, 'state', { to: 'ready' });
  t.same(states(agent), ['starting', 'ready', 'unready', 'starting', 'ready']);
  t.notMatch(output(agent.events), /WORKER TIMEOUT/);
  t.match(agent.console, [/^pinion: APP_UNHEALTHY: /]);
  t.match(await agent.readyz(), { status: 200 });
  t.match(await statusOf(folder), { restarts: 1, causes: [{ cause: 'APP_UNHEALTHY', count: 1 }] });
  await endsClean(t, running);
});

t.test('S16: a sync worker that hangs is replaced by gunicorn; its sibling answers, and ready is kept', async (t) => {
  const running = await serving(t, 'gunicorn.workers = 2\ngunicorn.threads = 1\ngunicorn.timeout-seconds = 1\n', { probeTimeoutMs: 1_000 });
  const { agent, folder, url } = running;
  await agent.untilState('ready');
  const before = await eventually(
    async () => (await statusOf(folder)).gunicorn?.workers ?? [],
    (workers) => workers.length === 2,
  );
  begin(1, `${url}/hang`);
  const { pid } = await agent.until((event): event is AgentEvent & { event: 'worker-replaced' } => event.event === 'worker-replaced');
  t.ok(before.includes(pid));
  t.match(output(agent.events), new RegExp(`WORKER TIMEOUT \\(pid:${pid}\\)`));
  const { causes, ...status } = await statusOf(folder);
  t.match(status, { state: 'ready', restarts: 0, workersReplaced: 1 });
  t.match(causes, [{ cause: 'APP_WORKER_REPLACED', sentence: `worker ${pid} of gunicorn ended and was replaced: WORKER TIMEOUT (pid:${pid})` }]);
  t.same(states(agent), ['starting', 'ready']);
  await endsClean(t, running);
});

t.test('S18: all of gunicorn is stopped: unready within three probes, TERM does nothing, the kill does', async (t) => {
  const running = await serving(t, threaded.replace('timeout-seconds = 1', 'timeout-seconds = 60'), { hungMs: 500 });
  const { agent, folder } = running;
  await agent.untilState('ready');
  const { gunicorn } = await eventually(
    () => statusOf(folder),
    ({ gunicorn }) => gunicorn?.workers.length === 1,
  );
  for (const pid of [...(gunicorn?.workers ?? []), gunicorn?.pid ?? 0]) process.kill(pid, 'SIGSTOP');
  const stoppedAt = performance.now();
  await agent.untilState('unready');
  const unreadyMs = performance.now() - stoppedAt;
  t.ok(unreadyMs < 2 * (3 * 200 + 50), `unready after ${Math.round(unreadyMs)} ms`);
  t.match(await agent.until(isExit), { exit: 'SIGKILL', wasKilled: true });
  await nth(agent, 2, 'state', { to: 'ready' });
  t.same(states(agent), ['starting', 'ready', 'unready', 'starting', 'ready']);
  t.equal(runningIn(folder).filter((command) => command.includes('gunicorn')).length, 2, 'one generation');
  await endsClean(t, running);
});

t.test('S39: one bad answer of three changes nothing', async (t) => {
  const running = await serving(t, threaded, { probeIntervalMs: 10 });
  const { agent, folder, url } = running;
  await agent.untilState('ready');
  raise(t, 'flapping');
  await eventually(
    async () => Number((await get(`${url}/asked`)).body),
    (asked) => asked > 40,
  );
  const { probes } = await statusOf(folder);
  t.ok(probes.some(({ detail }) => detail === 'status 500') && probes.some(({ isGood }) => isGood), 'it did flap');
  t.same(states(agent), ['starting', 'ready']);
  t.same(agent.console, []);
  await endsClean(t, running);
});

t.test('S40: a dependency is down and every page fails; the health path does not test it, and the host stays ready', async (t) => {
  const running = await serving(t, threaded);
  const { agent, folder, url } = running;
  await agent.untilState('ready');
  for (let round = 0; round < 3; round++) {
    t.equal((await get(url)).status, 500);
    const from = Number((await get(`${url}/asked`)).body);
    await eventually(
      async () => Number((await get(`${url}/asked`)).body),
      (asked) => asked > from + 3,
    );
    t.equal((await agent.readyz()).status, 200);
  }
  t.match(output(agent.events), /ConnectionRefusedError/);
  t.match(await statusOf(folder), { state: 'ready', restarts: 0, causes: [] });
  await endsClean(t, running);
});

t.test('S41: a saturated app whose requests still end is unready and left alone; the agent answers at once all the time', async (t) => {
  const running = await serving(t, threaded);
  const { agent, folder, url } = running;
  await agent.untilState('ready');
  let isLoaded = true;
  let done = 0;
  const clients = Array.from({ length: 12 }, async () => {
    while (isLoaded) if ((await get(`${url}/slow`)).status === 200) done++;
  });
  await agent.untilState('unready');
  const answersMs: number[] = [];
  await eventually(
    async () => {
      const askedAt = performance.now();
      await agent.readyz();
      answersMs.push(performance.now() - askedAt);
    },
    () => done >= 20,
  );
  isLoaded = false;
  await Promise.all(clients);
  await nth(agent, 2, 'state', { to: 'ready' });
  answersMs.sort((a, b) => a - b);
  const [most = 0, worst = 0] = [answersMs[Math.floor(answersMs.length * 0.9)], answersMs.at(-1)];
  t.ok(
    answersMs.length > 50 && most < 100 && worst < slackMs,
    `${answersMs.length} answers, nine of ten in ${most.toFixed(1)} ms, all in ${worst.toFixed(1)} ms`,
  );
  t.same(states(agent), ['starting', 'ready', 'unready', 'ready']);
  t.match(await statusOf(folder), { restarts: 0, workersReplaced: 0 });
  await endsClean(t, running);
});

t.test('F30: a health path that answers 500 from the start is never ready; the start deadline ends it with that status', async (t) => {
  raise(t, 'broken');
  const running = await serving(t, threaded, { startMs: 1_500 });
  const { agent, url } = running;
  const { sentence } = await agent.until((event): event is AgentEvent & { event: 'failed' } => event.event === 'failed');
  t.match(sentence, /did not answer \/healthz within 1500 ms: status 500/);
  t.match(await agent.readyz(), { status: 503, body: { state: 'starting', cause: 'APP_START_TIMEOUT' } });
  await agent.until(isExit);
  await eventually(
    () => starts(agent),
    (count) => count >= 2,
  );
  await agent.untilConsole();
  t.match(agent.console[0], /^pinion: APP_START_TIMEOUT: .*status 500/);
  t.same(states(agent), ['starting']);
  await t.resolves(
    eventually(
      () => get(`${url}/asked`).catch(() => undefined),
      (answer) => answer?.status === 200,
    ),
    'and it is tried again',
  );
  await endsClean(t, running);
});

t.test('an agent that was stopped does not vouch for an app that answers no more, whatever it asked last', async (t) => {
  const running = await serving(t, threaded, { probeIntervalMs: 200, probeTimeoutMs: 100 });
  const { agent, folder, url } = running;
  await agent.untilState('ready');
  const { gunicorn } = await eventually(
    () => statusOf(folder),
    ({ gunicorn }) => (gunicorn?.workers.length ?? 0) > 0,
  );
  t.equal((await get(`${url}/asked`)).status, 200);
  for (const pid of [gunicorn?.pid ?? 0, ...(gunicorn?.workers ?? [])]) process.kill(pid, 'SIGSTOP');
  agent.signal('SIGSTOP');
  const stoppedAt = performance.now();
  await eventually(
    async () => performance.now() - stoppedAt,
    (ms) => ms > 1_200,
  );
  const first = agent.readyz();
  agent.signal('SIGCONT');
  t.match(await first, { status: 503 });
  t.match((await agent.readyz()).status, 503);
  for (const pid of [...(gunicorn?.workers ?? []), gunicorn?.pid ?? 0]) process.kill(pid, 'SIGCONT');
  await eventually(agent.readyz, ({ status }) => status === 200);
  await endsClean(t, running);
});
