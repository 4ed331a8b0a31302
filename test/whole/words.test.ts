/** What an app and its agent say, where it goes, and what they do when nothing takes it. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { Limits } from '../../agent/limits.ts';
import type { AgentEvent } from '../../contract/events.ts';
import type { Readiness } from '../../contract/status.ts';
import { withoutImds } from '../support/agent.ts';
import { type Cloud, startCloud } from '../support/cloud.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { get, limited, released, runningIn, statusOf } from '../support/launched.ts';
import { shortFolder } from '../support/short-folder.ts';
import { needsNamespaces } from '../support/tool.ts';

const source = `
import sys
from flask import Flask
app = Flask(__name__)
@app.get("/healthz")
def healthz():
    return "ok"
@app.get("/word")
def word():
    print("a word", flush=True)
    return "said"
@app.get("/noise/<int:megabytes>")
def noise(megabytes):
    block = (b"\\xff\\xfe noise " * 100 + b"\\n") * 1000
    for _ in range(megabytes):
        sys.stdout.buffer.write(block[:1000000])
        sys.stdout.buffer.flush()
    return "said"
`;
const program = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));

let cloud: Cloud;
let noisy: Awaited<ReturnType<typeof released>>;
t.before(async () => {
  cloud = await startCloud(t);
  noisy = await released(t, cloud, { source });
});

type Way = { readonly limits?: Partial<Limits>; readonly environment?: Record<string, string>; readonly before?: readonly string[] };

/** The agent with this stdout and stderr, ready; its words may go nowhere, so it is asked what it does. `before` is a command that runs it. */
async function serving(
  t: Test,
  stdio: SpawnOptions['stdio'],
  { limits = {}, environment = {}, before = [] }: Way = {},
  started: (child: ChildProcess) => void = () => {},
) {
  const folder = shortFolder(t);
  const [port, healthPort] = [await freePort(), await freePort()];
  const userData = join(folder, 'user-data');
  writeFileSync(userData, JSON.stringify(noisy.userData));
  const [command = '', ...args] = [...before, 'setpriv', '--pdeathsig', 'KILL', '--', process.execPath, program, 'run', '--user-data', userData];
  const child = spawn(command, args, {
    stdio,
    env: {
      PATH: process.env.PATH,
      ...withoutImds(cloud.endpoint),
      STATE_DIRECTORY: join(folder, 'state'),
      RUNTIME_DIRECTORY: join(folder, 'run'),
      PINION_BIND: '127.0.0.1',
      PINION_PYTHON: noisy.interpreter,
      PINION_TRAFFIC_PORT: String(port),
      PINION_HEALTH_PORT: String(healthPort),
      ...limited({ restartBaseMs: 1, restartCapMs: 2, probeIntervalMs: 50, ...limits }),
      ...environment,
    },
  });
  started(child);
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  t.teardown(() => {
    child.kill('SIGKILL');
    return exited;
  });
  const readyz = async () => {
    const { status, body } = await get(`http://127.0.0.1:${healthPort}/readyz`);
    return { status, body: JSON.parse(body) as Readiness };
  };
  const untilReady = () =>
    eventually(
      () => readyz().catch(() => undefined),
      (answer) => answer?.status === 200,
    );
  await untilReady();
  /** It drains, and leaves nothing. */
  const ends = async () => {
    child.kill('SIGTERM');
    t.equal(await exited, 0);
    t.same(runningIn(folder), []);
  };
  return { child, folder, url: `http://127.0.0.1:${port}`, readyz, untilReady, ends };
}

/** MB that a process holds now, and at most held (proc(5)). */
const memoryMb = (pid = 0, field: 'VmRSS' | 'VmHWM') =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

for (const reader of ['somebody reads', 'nobody reads'] as const) {
  t.test(`S29: 200 MB of noise, not all of it UTF-8, and ${reader} the log`, async (t) => {
    const { child, folder, url, readyz, ends } = await serving(t, ['ignore', 'pipe', 'ignore'], { limits: { probeIntervalMs: 1_000 } });
    if (reader === 'somebody reads') child.stdout?.resume();
    const beforeMb = memoryMb(child.pid, 'VmRSS');
    let isSaying = true;
    const said = get(`${url}/noise/200`).finally(() => {
      isSaying = false;
    });
    const answersMs: number[] = [];
    const answers = new Set<string>();
    while (isSaying) {
      const askedAt = performance.now();
      const { status, body } = await readyz();
      answersMs.push(performance.now() - askedAt);
      answers.add(`${status} ${body.state}, app ${(await get(`${url}/healthz`)).status}`);
    }
    t.same(await said, { status: 200, body: 'said' });
    t.same([...answers], ['200 ready, app 200'], 'and it serves meanwhile');
    const grownMb = memoryMb(child.pid, 'VmHWM') - beforeMb;
    t.ok(grownMb < 40, `at most ${grownMb.toFixed(0)} MB more than before`);
    answersMs.sort((a, b) => a - b);
    const most = answersMs[Math.floor(answersMs.length * 0.99)] ?? 0;
    t.ok(
      answersMs.length > 100 && most < 200,
      `${answersMs.length} answers, 99 of 100 within ${most.toFixed(0)} ms, all within ${answersMs.at(-1)?.toFixed(0)} ms`,
    );
    const { logLinesLost, restarts } = await statusOf(folder);
    t.ok(reader === 'somebody reads' || logLinesLost > 150_000, `${logLinesLost} lines are lost, and counted`);
    t.equal(restarts, 0);
    child.stdout?.resume();
    await ends();
  });
}

for (const [name, stdio] of [
  ['have no space for one line', () => ['ignore', openSync('/dev/full', 'w'), openSync('/dev/full', 'w')] as const],
  ['are pipes that nobody holds', () => ['ignore', 'pipe', 'pipe'] as const],
] as const) {
  t.test(`N15: stdout and stderr ${name}: boot, restart and drain are as ever`, async (t) => {
    const { child, folder, url, untilReady, ends } = await serving(t, [...stdio()], {}, (child) => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
    t.equal((await get(`${url}/noise/1`)).body, 'said');
    const { gunicorn } = await statusOf(folder);
    process.kill(gunicorn?.pid ?? 0, 'SIGKILL');
    const { causes, logLinesLost } = await eventually(
      () => statusOf(folder),
      ({ restarts }) => restarts === 1,
    );
    t.match(causes, [{ cause: 'APP_EXITED' }], 'what the console did not take');
    t.ok(logLinesLost > 0, `${logLinesLost} lines are lost`);
    await untilReady();
    t.equal(child.exitCode, null);
    await ends();
  });
}

t.test('F21: the disk of the log is full and CloudWatch is gone: the app is served, and what is lost is counted', async (t) => {
  if (!needsNamespaces(t)) return;
  const disk = shortFolder(t);
  const script = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@" >>"$0/log" 2>>"$0/console"';
  const { child, folder, url, readyz, ends } = await serving(t, ['ignore', 'inherit', 'inherit'], {
    before: ['unshare', '-rm', 'sh', '-c', script, disk],
    environment: { AWS_ENDPOINT_URL_CLOUDWATCH: `http://127.0.0.1:${await freePort()}` },
    limits: { metricsPeriodMs: 100 },
  });
  const log = `/proc/${child.pid}/root${disk}/log`;
  const events = () =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line): AgentEvent => JSON.parse(line));
  await eventually(events, (said) => said.some((event) => event.event === 'metrics-failed' && /ECONNREFUSED/.test(event.detail)));
  t.equal((await get(`${url}/noise/20`)).body, 'said');
  const { logLinesLost } = await eventually(
    () => statusOf(folder),
    ({ logLinesLost }) => logLinesLost > 0,
  );
  t.equal((await readyz()).status, 200);
  t.equal((await get(`${url}/healthz`)).status, 200);
  truncateSync(log);
  const isTold = (said: readonly AgentEvent[]) => said.some((event) => event.event === 'log-lost' && event.lines >= logLinesLost);
  const isSaid = (said: readonly AgentEvent[]) => said.some((event) => event.event === 'app-output' && event.line === 'a word');
  await eventually(
    async () => {
      await get(`${url}/word`);
      return events();
    },
    (said) => isTold(said) && isSaid(said),
  );
  await ends();
});
