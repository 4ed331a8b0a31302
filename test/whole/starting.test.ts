/** gunicorn that does not come up, or not at once: the real agent, real gunicorn, and an app that goes wrong while it is imported. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Limits } from '../../agent/limits.ts';
import type { AgentEvent } from '../../contract/events.ts';
import { type Cloud, startCloud } from '../support/cloud.ts';
import { get, launch, limited, released, starts } from '../support/launched.ts';
import { shortFolder } from '../support/short-folder.ts';
import { all, endsClean, fault, faultySource, isRunning, mend, nth, states, until, untilStatus, watchReadyz } from '../support/supervised.ts';

let cloud: Cloud;
let app: Awaited<ReturnType<typeof released>>;
t.before(async () => {
  cloud = await startCloud(t);
  app = await released(t, cloud, { source: faultySource });
});

/** The agent on an app with this fault. */
async function launchFaulty(t: Test, python: string, limits: Partial<Limits>, environment: Record<string, string> = {}) {
  const folder = shortFolder(t);
  fault(folder, python);
  return launch(t, cloud, app, { ...limited(limits), ...environment }, folder);
}

const quick = { restartBaseMs: 1, restartCapMs: 2 };

/** The first worker of each arbiter waits for the second and raises; what the second does is up to `other`. */
const importRaises = (other: string) => `
import signal, time
first, second = folder / f"first-{os.getppid()}", folder / f"second-{os.getppid()}"
def fail(*_):
    raise RuntimeError("no database")
try:
    os.close(os.open(first, os.O_CREAT | os.O_EXCL))
except FileExistsError:
    ${other}
else:
    while not second.exists():
        time.sleep(0.005)
    fail()
`;

for (const [how, exit, other] of [
  ['gunicorn ends with 3', 'exit status 3', 'signal.signal(signal.SIGTERM, lambda *_: os._exit(0)); second.touch(); time.sleep(60)'],
  // Ended by gunicorn while it imports, it fails as well: gunicorn meets that in its own shutdown.
  ['both workers fail, and gunicorn with 1', 'exit status 1', 'signal.signal(signal.SIGTERM, fail); second.touch(); time.sleep(60)'],
] as const) {
  t.test(`S02: an import that raises is tried again with a wait, then given up as a crash loop that names the exception: ${how}`, async (t) => {
    const running = await launchFaulty(t, importRaises(other), { ...quick, crashLoopCount: 3 });
    const { agent } = running;
    await agent.until((event): event is AgentEvent & { event: 'health-listening' } => event.event === 'health-listening');
    const seen = await watchReadyz(agent);
    const exited = new RegExp(`${exit}: RuntimeError: no database`);
    t.match(await nth(agent, 1, 'failed'), { cause: 'APP_EXITED', sentence: exited });
    t.match(await agent.readyz(), { status: 503 });
    await agent.untilState('failed');
    t.match(await agent.readyz(), { status: 503, body: { state: 'failed', cause: 'APP_CRASH_LOOP', sentence: /^gunicorn ended 3 times/ } });
    t.match((await agent.readyz()).body.sentence, exited);
    t.same(await seen(), [503], 'never ready');
    t.same(states(agent), ['starting', 'failed']);
    t.equal(starts(agent), 3);
    await until(() => agent.console.some((line) => /^pinion: APP_CRASH_LOOP: .*RuntimeError: no database/.test(line)));
    await endsClean(t, running);
  });
}

t.test('S05: a slow import is waited for: `starting` without a cause, no restart, ready when it is done', async (t) => {
  const python = 'import time\nwhile not (folder / "go").exists():\n    time.sleep(0.005)\n';
  const running = await launchFaulty(t, python, { probeTimeoutMs: 20 });
  const { agent, folder, url } = running;
  await agent.untilState('starting');
  // gunicorn listens before it imports: the probe connects and gets no answer.
  await untilStatus(folder, ({ probes }) => probes.length === 5 && probes.every(({ detail }) => detail === 'no answer in 20 ms'));
  const { status, body } = await agent.readyz();
  t.equal(status, 503);
  t.same(body, { state: 'starting', release: app.userData.release, commit: 'unknown' });
  writeFileSync(join(folder, 'go'), '');
  await agent.untilState('ready');
  t.match(await agent.readyz(), { status: 200 });
  t.equal((await get(url)).status, 200);
  t.same(states(agent), ['starting', 'ready']);
  t.equal(starts(agent), 1);
  t.same(agent.console, []);
  await endsClean(t, running);
});

t.test('S06: an import that never ends, deaf to TERM, is killed with all it started at the start deadline, and tried again', async (t) => {
  const python = `
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(folder / f"child-{child.pid}").touch()
time.sleep(600)
`;
  const running = await launchFaulty(t, python, { ...quick, startMs: 2_000, killMarginMs: 50 });
  const { agent, folder } = running;
  const names = { cause: 'APP_START_TIMEOUT', sentence: /\/healthz within 2000 ms/ };
  t.match(await nth(agent, 1, 'failed'), names);
  t.match(await agent.readyz(), { status: 503, body: { state: 'starting', ...names } });
  t.match(await nth(agent, 1, 'app-terminating'), { cause: 'APP_START_TIMEOUT' });
  const [workers, toldAt] = [readdirSync(folder).filter((name) => name.startsWith('child-')), performance.now()];
  mend(folder);
  t.match(await nth(agent, 1, 'app-exited'), { exit: 'SIGKILL', wasKilled: true });
  t.ok(performance.now() - toldAt < 3_000, 'the grace of requests, 30 s, is not given to what serves none');
  t.equal(workers.length, 2);
  for (const name of workers) t.notOk(isRunning(Number(name.slice('child-'.length))), 'nor does what it started');
  await agent.untilState('ready');
  t.same(states(agent), ['starting', 'ready']);
  t.equal(starts(agent), all(agent, 'app-exited').length + 1);
  await endsClean(t, running);
});

t.test('S08: an app that ends with 0 by itself has crashed: cause, restart with a wait, ready again', async (t) => {
  const running = await launchFaulty(t, 'import signal\nos.kill(os.getppid(), signal.SIGTERM)\nos._exit(0)\n', quick);
  const { agent, folder } = running;
  const names = { cause: 'APP_EXITED', sentence: /^gunicorn ended with exit status 0/ };
  t.match(await nth(agent, 2, 'failed'), names);
  t.match(await agent.readyz(), { status: 503, body: { state: 'starting', ...names } });
  mend(folder);
  await agent.untilState('ready');
  const before = all(agent, 'app-exited').length;
  t.ok(before >= 2);
  t.ok(all(agent, 'app-exited').every(({ exit, wasKilled }) => exit === 'exit status 0' && !wasKilled));
  process.kill(all(agent, 'app-started').at(-1)?.pid as number, 'SIGTERM');
  t.match(await nth(agent, before + 1, 'failed'), names);
  await nth(agent, 2, 'state', { to: 'ready' });
  t.same(states(agent), ['starting', 'ready', 'starting', 'ready']);
  t.match(await untilStatus(folder, () => true), { restarts: before + 1, causes: [names] });
  await endsClean(t, running);
});

/** Processor time of a process, in ms (proc_pid_stat(5), fields 14 and 15, in ticks of 10 ms). */
function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

t.test('S09: waits between crashes grow to the cap, the tenth is the last, and the agent has little to do', async (t) => {
  const [restartBaseMs, restartCapMs, crashLoopCount] = [25, 400, 10];
  // Jitter at its longest, so that each wait is the one it may be.
  const longest = { NODE_OPTIONS: '--import=data:text/javascript,Math.random=()=>0.999' };
  const running = await launchFaulty(t, 'os._exit(3)', { restartBaseMs, restartCapMs, crashLoopCount }, longest);
  const { agent } = running;
  await nth(agent, 1, 'app-started');
  const [processorBeforeMs, startedAt] = [processorMs(agent.pid), performance.now()];
  await agent.untilState('failed');
  const [spentMs, tookMs] = [processorMs(agent.pid) - processorBeforeMs, performance.now() - startedAt];
  t.match((await agent.readyz()).body, {
    state: 'failed',
    cause: 'APP_CRASH_LOOP',
    sentence: /^gunicorn ended 10 times within 900000 ms, last with exit status [13]/,
  });
  t.equal(starts(agent), crashLoopCount);

  const times = (name: AgentEvent['event']) => all(agent, name).map((event) => Date.parse((event as AgentEvent & { time: string }).time));
  const exits = times('app-exited');
  const waits = times('app-started')
    .slice(1)
    .map((startedAt, index) => startedAt - (exits[index] ?? 0));
  t.comment(`waits ${waits.join(' ')} ms; ${spentMs} of ${Math.round(tookMs)} ms`);
  for (const [attempt, waitedMs] of waits.entries()) {
    const wantedMs = attempt === 0 ? 0 : Math.min(restartCapMs, restartBaseMs * 2 ** (attempt - 1));
    t.ok(waitedMs >= wantedMs - 3, `wait ${attempt + 1} is ${wantedMs} ms`);
    t.ok(waitedMs < 2 * wantedMs + 1_000, 'and no more');
  }
  t.ok(spentMs < tookMs / 4, `${spentMs} ms of the processor in ${Math.round(tookMs)} ms`);
  await endsClean(t, running);
});
