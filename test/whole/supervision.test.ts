/** gunicorn that has served and then goes wrong, and an agent that cannot start it again: the real agent, real gunicorn, real signals. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { childrenOf } from '../../agent/app/process-group.ts';
import type { Limits } from '../../agent/limits.ts';
import type { AgentEvent } from '../../contract/events.ts';
import type { Status } from '../../contract/status.ts';
import { type Cloud, startCloud } from '../support/cloud.ts';
import { get, launch, limited, released, runningIn, starts, statusOf } from '../support/launched.ts';
import { startNotifySocket } from '../support/notify-socket.ts';
import { shortFolder } from '../support/short-folder.ts';
import { all, endsClean, fault, faultySource, isRunning, mend, nth, states, until, untilStatus, watchReadyz } from '../support/supervised.ts';
import { needsTool } from '../support/tool.ts';

let cloud: Cloud;
let app: Awaited<ReturnType<typeof released>>;
t.before(async () => {
  cloud = await startCloud(t);
  app = await released(t, cloud, { source: faultySource });
});

const quick = { restartBaseMs: 1, restartCapMs: 2 };
/** Only the end of gunicorn itself can tell: no probe is due. */
const withoutProbes = { ...quick, probeIntervalMs: 600_000 };

/** The agent when its app is ready: gunicorn's arbiter, and its two workers. */
async function serving(t: Test, limits: Partial<Limits>, environment: Record<string, string> = {}) {
  const running = await launch(t, cloud, app, { ...limited(limits), ...environment });
  await running.agent.untilState('ready');
  const { pid: arbiter } = await nth(running.agent, 1, 'app-started');
  await until(() => childrenOf(arbiter).length === 2);
  return { ...running, arbiter, workers: childrenOf(arbiter) as readonly [number, number] };
}

t.test('S07: what gunicorn says to a service manager reaches none: the agent speaks for itself, and is ready once', async (t) => {
  if (!needsTool(t, 'systemd-notify', 'apt-get install systemd')) return;
  const NOTIFY_SOCKET = join(shortFolder(t), 'notify');
  const peer = await startNotifySocket(t, NOTIFY_SOCKET);
  const running = await serving(t, quick, { NOTIFY_SOCKET });
  const { agent, arbiter, workers } = running;
  for (const pid of [arbiter, ...workers]) t.notMatch(readFileSync(`/proc/${pid}/environ`, 'latin1'), /NOTIFY_SOCKET/);
  process.kill(arbiter, 'SIGKILL');
  await nth(agent, 2, 'state', { to: 'ready' });
  await endsClean(t, running);
  const messages: string[] = [];
  while (messages.at(-1) !== 'STOPPING=1') messages.push(await peer.next());
  const own = new RegExp(`^(READY=1(\\nMAINPID=${agent.pid})?|STOPPING=1|EXTEND_TIMEOUT_USEC=\\d+|STATUS=(booting|starting|ready|draining|stopped)(: \\w+)?)$`);
  t.same(
    messages.filter((message) => !own.test(message)),
    [],
  );
  t.equal(messages.filter((message) => message.includes('READY=1')).length, 1);
});

t.test('S11: a worker that is killed is replaced by gunicorn; the host stays ready and says so', async (t) => {
  // However late a probe is on a busy machine, it is not stale.
  const running = await serving(t, { probeIntervalMs: 20, probeStaleIntervals: 10_000 });
  const { agent, folder, url, workers } = running;
  const isWhole = ({ gunicorn }: Status) => gunicorn?.workers.length === 2;
  await untilStatus(folder, isWhole);
  const seen = await watchReadyz(agent);
  process.kill(workers[0], 'SIGKILL');
  t.equal((await nth(agent, 1, 'worker-replaced')).pid, workers[0]);
  const replaced = { cause: 'APP_WORKER_REPLACED', sentence: new RegExp(`worker ${workers[0]} of gunicorn ended and was replaced`), count: 1 };
  const status = await untilStatus(folder, isWhole);
  t.match(status, { state: 'ready', workersReplaced: 1, restarts: 0, causes: [replaced] });
  t.notOk(status.gunicorn?.workers.includes(workers[0]));
  t.equal((await get(url)).status, 200);
  t.same(await seen(), [200]);
  t.same(states(agent), ['starting', 'ready']);
  t.equal(starts(agent), 1);
  t.same(agent.console, []);
  await endsClean(t, running);
});

t.test('S12: the arbiter is killed: not ready at once, its workers end before the next start, ready again', async (t) => {
  const running = await serving(t, withoutProbes);
  const { agent, folder, url, arbiter, workers } = running;
  // Workers that are orphaned finish what they serve, and accept until then.
  const held = get(`${url}/held`).catch((error) => error.code);
  await until(() => existsSync(join(folder, 'held')));
  const seen = await watchReadyz(agent);
  const killedAt = performance.now();
  process.kill(arbiter, 'SIGKILL');
  t.match(await nth(agent, 1, 'failed'), { cause: 'APP_EXITED', sentence: 'gunicorn ended with SIGKILL' });
  t.ok(performance.now() - killedAt < 1_000, 'not ready at once');
  const { pid: next } = await nth(agent, 2, 'app-started');
  for (const pid of workers) t.notOk(isRunning(pid), `worker ${pid} has ended`);
  t.equal(await held, 'ECONNRESET');
  await nth(agent, 2, 'state', { to: 'ready' });
  for (let count = 0; count < 20; count++) t.equal((await get(url)).body, String(next), 'only the new one answers');
  t.same(
    all(agent, 'failed').map(({ cause }) => cause),
    ['APP_EXITED'],
    'its port was free',
  );
  t.same(await seen(), [200, 503, 200]);
  t.same(states(agent), ['starting', 'ready', 'starting', 'ready']);
  t.match(await statusOf(folder), { restarts: 1, workersReplaced: 0 });
  await endsClean(t, running);
});

t.test('S14: a worker cannot be replaced as the app cannot be imported any more: gunicorn ends, is tried again, and is ready when it can', async (t) => {
  const running = await serving(t, withoutProbes);
  const { agent, folder, workers } = running;
  fault(folder, 'raise RuntimeError("no database")');
  process.kill(workers[0], 'SIGKILL');
  const names = { cause: 'APP_EXITED', sentence: /exit status [13]: RuntimeError: no database/ };
  // The one that ended what served, and one that never did.
  for (const count of [1, 2]) t.match(await nth(agent, count, 'failed'), names);
  t.match(await agent.readyz(), { status: 503, body: { state: 'starting', ...names } });
  mend(folder);
  await nth(agent, 2, 'state', { to: 'ready' });
  t.same(states(agent), ['starting', 'ready', 'starting', 'ready']);
  t.match(await agent.readyz(), { status: 200 });
  await endsClean(t, running);
});

t.test('F31: what was healthy and then crashes whenever it starts is not ready from the first crash on, and given up', async (t) => {
  const running = await serving(t, { ...withoutProbes, crashLoopCount: 4 });
  const { agent, folder, arbiter } = running;
  const seen = await watchReadyz(agent);
  fault(folder, 'raise RuntimeError("no database")');
  process.kill(arbiter, 'SIGKILL');
  await agent.untilState('failed');
  t.match((await agent.readyz()).body, { state: 'failed', cause: 'APP_CRASH_LOOP', sentence: /^gunicorn ended 4 times.*RuntimeError: no database/ });
  t.same(await seen(), [200, 503]);
  t.same(states(agent), ['starting', 'ready', 'starting', 'failed']);
  t.equal(starts(agent), 4);
  t.equal(runningIn(folder).length, 1, 'only the agent runs');
  await endsClean(t, running);
});

t.test('F31: crashes between which it is ready, but never for long, end it as well', async (t) => {
  const running = await serving(t, { ...withoutProbes, crashLoopCount: 3 });
  const { agent } = running;
  const seen = await watchReadyz(agent);
  for (const count of [1, 2, 3]) {
    await nth(agent, count, 'state', { to: 'ready' });
    await until(async () => (await agent.readyz()).status === 200);
    process.kill((await nth(agent, count, 'app-started')).pid, 'SIGKILL');
  }
  await agent.untilState('failed');
  t.match(await agent.readyz(), { status: 503, body: { cause: 'APP_CRASH_LOOP', sentence: /^gunicorn ended 3 times.*last with SIGKILL/ } });
  // Who looks now and then may miss one.
  t.match((await seen()).join(' '), /^200 503( 200 503){0,2}$/, 'ready only while it is');
  t.same(states(agent), ['starting', 'ready', 'starting', 'ready', 'starting', 'ready', 'failed']);
  await endsClean(t, running);
});

/** Lets a process open so many files and sockets more, whatever it has open. */
function leaveFree(pid: number, count: number): void {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let limit = 0;
  for (let left = count; left > 0 || open.has(limit); limit++) if (!open.has(limit)) left--;
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);
}

t.test('S31: no descriptor is left for another start: tried again without end, and nothing of the last start is left meanwhile', async (t) => {
  if (!needsTool(t, 'prlimit', 'apt-get install util-linux')) return;
  const running = await serving(t, { ...withoutProbes, restartBaseMs: 20, restartCapMs: 20, crashLoopCount: 2 });
  const { agent, folder, url, arbiter, workers } = running;
  const held = get(`${url}/held`).catch((error) => error.code);
  await until(() => existsSync(join(folder, 'held')));
  // Not even /proc can be read: whatever number is free is above this one.
  execFileSync('prlimit', ['--pid', String(agent.pid), '--nofile=1:']);
  process.kill(arbiter, 'SIGKILL');
  t.equal(await held, 'ECONNRESET');
  for (const pid of workers) await until(() => !isRunning(pid));
  const spawnFailed = (detail: RegExp) => {
    const isOne = (event: AgentEvent): event is AgentEvent & { event: 'failed' } =>
      event.event === 'failed' && event.cause === 'APP_SPAWN_FAILED' && detail.test(event.sentence);
    return agent.until((event): event is AgentEvent & { event: 'failed' } => isOne(event) && agent.events.filter(isOne).indexOf(event) === 4);
  };
  await spawnFailed(/: 127\.0\.0\.1:\d+ EMFILE$/);
  // Enough to see that the port is free, too little for gunicorn's pipes.
  leaveFree(agent.pid, 2);
  await spawnFailed(/: EMFILE$/);
  execFileSync('prlimit', ['--pid', String(agent.pid), '--nofile=1024:']);
  t.match(await agent.readyz(), { body: { state: /starting|ready/ } });
  await nth(agent, 2, 'state', { to: 'ready' });
  t.same(states(agent), ['starting', 'ready', 'starting', 'ready']);
  t.same([...new Set(all(agent, 'failed').map(({ cause }) => cause))], ['APP_EXITED', 'APP_SPAWN_FAILED']);
  t.match(await statusOf(folder), { restarts: 1 });
  await endsClean(t, running);
});

t.test('S31: a ready agent that can open nothing any more lives, blames the app for nothing, and drains', async (t) => {
  if (!needsTool(t, 'prlimit', 'apt-get install util-linux')) return;
  const running = await serving(t, { probeIntervalMs: 20, hungMs: 100, metricsPeriodMs: 50, drainSettleMs: 0, connectionsEveryMs: 10 });
  const { agent, url } = running;
  execFileSync('prlimit', ['--pid', String(agent.pid), '--nofile=1:1024']);
  // The app goes on; each request of it takes longer than a probe would.
  for (let asked = 0; asked < 200; asked++) await get(url);
  execFileSync('prlimit', ['--pid', String(agent.pid), '--nofile=1024:']);
  await until(async () => (await agent.readyz()).status === 200);
  t.same(states(agent), ['starting', 'ready']);
  t.equal(all(agent, 'app-terminating').length, 0);
  execFileSync('prlimit', ['--pid', String(agent.pid), '--nofile=1:1024']);
  agent.signal('SIGTERM');
  await agent.untilState('draining');
  agent.signal('SIGTERM');
  t.equal(await agent.exited, 0);
  t.same(agent.console, []);
});

t.test('S31: no descriptor is left for the boot process: tried again until there is one', async (t) => {
  const folder = shortFolder(t);
  writeFileSync(join(folder, 'user-data'), '#!/bin/sh\n');
  const program = join(folder, 'program.mts');
  const text = `
    import { closeSync, openSync } from 'node:fs';
    import { startBoot } from ${JSON.stringify(new URL('../../agent/boot/child.ts', import.meta.url).href)};
    const open = [];
    try { for (;;) open.push(openSync('/dev/null')); } catch {}
    let left = 3;
    startBoot(process.argv[2], { retryBaseMs: 20, retryCapMs: 20 }).listen({
      onEvent({ event, detail }) {
        if (event !== 'boot-spawn-failed') return;
        console.log(detail);
        if (--left === 0) for (const descriptor of open) closeSync(descriptor);
      },
      onLine: console.log,
      onFailure({ cause }) { console.log(cause); },
    });`;
  writeFileSync(program, text);
  const env = { PATH: process.env.PATH, STATE_DIRECTORY: join(folder, 'state'), RUNTIME_DIRECTORY: join(folder, 'run') };
  const command = 'ulimit -n 64; exec "$0" "$1" "$2"';
  const said = execFileSync('sh', ['-c', command, process.execPath, program, join(folder, 'user-data')], { env, encoding: 'utf8', timeout: 10_000 });
  t.same(said.trim().split('\n'), ['EMFILE', 'EMFILE', 'EMFILE', 'USER_DATA_SCRIPT']);
});
