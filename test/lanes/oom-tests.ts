import '../image/guest/enter-lab.ts';
import { CloudWatchClient, GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';
import t, { type Test } from 'tap';
import type { AgentEvent } from '../../contract/events.ts';
import { metricNamespace } from '../../contract/metrics.ts';
import type { Readiness, Status } from '../../contract/status.ts';
import type { UserData } from '../../contract/user-data.ts';
import { buildForGuest } from '../image/guest/artifact.ts';
import { diskOf } from '../image/guest/disk.ts';
import { sealedImage } from '../image/guest/image.ts';
import { serveMetadata } from '../image/guest/instance.ts';
import { openLab } from '../image/guest/lab.ts';
import { bootMachine } from '../image/guest/machine.ts';
import { makeTapNetwork } from '../image/guest/tap-network.ts';
import { agentUnit, appUnit, exposeAutoScaling } from '../image/shop.ts';
import { region, startCloud } from '../support/cloud.ts';
import { eventually } from '../support/eventually.ts';
import { get } from '../support/launched.ts';

/** Keeps `EAT` megabytes from its import on, and as many as `/eat` is told. What comes to `/run` is a line of shell for the app's own sandbox. */
const source = `
import os, subprocess
eaten = []

def eat(megabytes):
    for _ in range(megabytes):
        eaten.append(b"x" * 2**20)
    return "eaten"

eat(int(os.environ["EAT"]))

def app(environ, start_response):
    told = environ["wsgi.input"].read().decode()
    path = environ["PATH_INFO"]
    done = eat(int(told)) if path == "/eat" else subprocess.getoutput(told) if path == "/run" else "ok"
    start_response("200 OK", [("content-type", "text/plain")])
    return [done.encode()]
`;
const memoryMaxMb = 128;
const tooMuchMb = 200;
const crashLoopCount = 3;
/** An emulated processor is one to two orders of magnitude slower, and so are these. The machine is killed after `timeoutMs`. */
const timeoutMs = 1_500_000;
const limits = {
  ...{ imdsTimeoutMs: 20_000, connectTimeoutMs: 20_000, requestTimeoutMs: 60_000, stallWindowMs: 60_000 },
  ...{ startMs: 300_000, probeTimeoutMs: 20_000, probeStartingIntervalMs: 500, metricsPeriodMs: 10_000, crashLoopCount },
};

const lab = await openLab(t);
const [disk, cloud, { appDir }] = await Promise.all([
  diskOf(sealedImage()),
  startCloud(t),
  buildForGuest(t.testdir(), { files: { 'shop.py': source }, settings: 'entry-point = "shop:app"\ninclude = ["shop.py"]\nconfig = ["EAT"]\n' }),
]);
const cloudWatch = new CloudWatchClient({ endpoint: cloud.endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
t.teardown(() => cloudWatch.destroy());
const patient = (userData: UserData): UserData => ({ ...userData, times: { ...userData.times, bootBudgetMs: 300_000 } });
const modest = patient(await cloud.releaseBuilt(appDir, { EAT: '0' }));
const greedy = patient(await cloud.releaseBuilt(appDir, { EAT: String(tooMuchMb) }));

const network = await makeTapNetwork(lab);
t.teardown(() => network.remove());
const { imds } = await serveMetadata(t, lab, network, { userData: modest });
// What it has of the lab: the endpoint, patience, and a bound of the app's memory that is soon reached.
const environment = {
  AWS_ENDPOINT_URL: await lab.expose(cloud.endpoint),
  AWS_ENDPOINT_URL_AUTO_SCALING: (await exposeAutoScaling(t, lab)).endpoint,
  PINION_LIMITS: JSON.stringify(limits),
};
const variables = Object.entries(environment).map(([name, value]) => `Environment='${name}=${value}'\n`);
const dropIns = {
  [agentUnit]: `[Service]\n${variables.join('')}WatchdogSec=300s\nTimeoutStartSec=300s\n`,
  [appUnit]: `[Service]\nMemoryMax=${memoryMaxMb}M\nTimeoutStartSec=300s\n`,
};
const startedAtMs = performance.now();
const machine = await bootMachine(t, { disk, network, memoryMb: 1024, dropIns, timeoutMs });
let booted = modest;

const host = `http://${network.address}`;
const eat = () => fetch(`${host}:8000/eat`, { method: 'POST', body: String(tooMuchMb) });
const asApp = async (line: string) => (await fetch(`${host}:8000/run`, { method: 'POST', body: line })).text();
const readyz = async () => {
  const { status, body } = await get(`${host}:8081/readyz`);
  return { status, body: JSON.parse(body) as Readiness };
};
const isReady = ({ status }: { readonly status: number }) => status === 200;
/** Not by `pinion-agent status`: another Node takes ten seconds here. */
const status = async (): Promise<Status> => JSON.parse(await machine.ask('curl --silent --unix-socket /run/pinion/agent.sock http://agent/status'));
/** What systemd says of a unit. */
const show = async (unit: string) =>
  Object.fromEntries(
    (await machine.ask(`systemctl show --property=MainPID,NRestarts,Result,ActiveState,MemoryMax ${unit}`)).split('\n').map((line) => line.split('=')),
  );
const journal = `journalctl --output=cat _SYSTEMD_INVOCATION_ID=$(systemctl show --property=InvocationID --value ${agentUnit})`;
const eventsIn = (text: string) => text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as AgentEvent] : []));
/** What the agent said since it was started. */
const events = async () => eventsIn(await machine.ask(journal));
const killsIn = (said: readonly AgentEvent[]) => said.reduce((sum, event) => sum + (event.event === 'app-oom-killed' ? event.count : 0), 0);
const untilSaid = (event: AgentEvent['event']) => machine.untilSaid(`${journal} --follow --lines=all`, (line) => eventsIn(line)[0]?.event === event);
/** An instance that was launched with this user data: the same machine, whose agent begins anew. */
const launchedWith = async (userData: UserData) => {
  if (booted === userData) return;
  booted = userData;
  imds.setUserData(Buffer.from(JSON.stringify(userData)));
  await machine.ask(`systemctl restart ${agentUnit}`);
};
const say = (t: Pick<Test, 'comment'>, what: string) => t.comment(`${what}: ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s after power on`);
say(t, 'first shell');

t.test("boots to ready from nothing but its user data, under Debian's own kernel", async (t) => {
  await launchedWith(modest);
  await eventually(readyz, isReady);
  say(t, 'ready');
  t.match((await readyz()).body, { state: 'ready', release: modest.release });
  const [state, ...analysis] = (await machine.ask('systemctl is-system-running --wait; systemd-analyze')).split('\n');
  t.equal(state, 'running', 'no unit failed');
  t.comment(analysis.join('\n'));
});

t.test('S21: a worker takes more memory than the app may: the kernel ends it, gunicorn replaces it, app and agent live on', async (t) => {
  await launchedWith(modest);
  await eventually(readyz, isReady);
  const before = { ...(await status()), kills: killsIn(await events()), agent: await show(agentUnit), app: await show(appUnit) };
  t.equal(before.app.MemoryMax, String(memoryMaxMb * 2 ** 20));
  await t.rejects(eat(), 'the request ends with its worker');
  say(t, 'eaten');
  await eventually(status, ({ workersReplaced }) => workersReplaced > before.workersReplaced);
  say(t, 'worker replaced');
  t.match(await machine.ask('journalctl --output=cat _TRANSPORT=kernel | grep "Memory cgroup out of memory"'), /Killed process \d+ \(python\)/);
  const kills = killsIn(await events());
  t.equal(kills, before.kills + 1, 'one process was ended');
  t.same({ agent: await show(agentUnit), app: await show(appUnit) }, { agent: before.agent, app: before.app }, 'the same processes, no unit was restarted');
  const { state, restarts, workersReplaced, causes } = await status();
  t.same({ state, restarts, workersReplaced }, { state: 'ready', restarts: before.restarts, workersReplaced: before.workersReplaced + 1 });
  t.match(causes[0], { cause: 'APP_WORKER_REPLACED', sentence: /memory/ });
  t.match(await readyz(), { status: 200 });
  t.equal(
    await eventually(
      () => sumOf('OomKills'),
      (sum) => sum >= kills,
    ),
    kills,
    'CloudWatch has it',
  );
  say(t, 'S21 shown');
});

t.test('S21: it is gunicorn itself that the kernel ends: its workers end with it, and the agent starts it again', async (t) => {
  await launchedWith(modest);
  await eventually(readyz, isReady);
  const { MainPID } = await show(appUnit);
  const { restarts } = await status();
  await machine.ask(`echo 1000 >/proc/${MainPID}/oom_score_adj`);
  await eat().catch(() => {});
  await untilSaid('app-exited');
  say(t, 'arbiter ended');
  t.match(
    (await events()).findLast(({ event }) => event === 'app-exited'),
    { exit: 'SIGKILL, out of memory', wasKilled: false },
  );
  await eventually(readyz, isReady);
  say(t, 'ready again');
  t.match(await status(), { state: 'ready', restarts: restarts + 1 });
  t.match(machine.console(), /pinion: APP_EXITED: gunicorn ended with SIGKILL, out of memory/);
});

t.test('F46, N14: where nftables has no rules the unit itself keeps the metadata service from the app', async (t) => {
  await launchedWith(modest);
  await eventually(readyz, isReady);
  const ask = (seconds: number) =>
    `curl --silent --show-error --max-time ${seconds} --output /dev/null --write-out '%{http_code}\\n' -X PUT -H 'x-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token 2>&1`;
  t.match(await asApp(ask(60)), /Could not connect|No route to host/, 'with them it is refused at once');
  await machine.ask('nft flush ruleset');
  t.match(await asApp(ask(5)), /timed out/, 'without them nothing comes back');
  t.equal(await machine.ask(`setpriv --reuid=pinion --regid=pinion --init-groups ${ask(60)}`), '200', 'the agent is answered');
  await machine.ask('nft -f /usr/lib/pinion/pinion.nft');
  say(t, 'filters shown');
});

t.test('S22: the app takes too much whenever it is imported: the cause, on the console too, and nothing of it is left', async (t) => {
  await launchedWith(greedy);
  await eventually(readyz, ({ body }) => body.state === 'failed');
  say(t, 'failed');
  t.match(await readyz(), { status: 503, body: { state: 'failed', cause: 'APP_OUT_OF_MEMORY', release: greedy.release } });
  await machine.untilConsole(/pinion: APP_OUT_OF_MEMORY: the kernel ended processes of the app \d+ times/);
  t.ok(killsIn(await events()) >= crashLoopCount);
  await eventually(
    () => show(appUnit),
    ({ ActiveState }) => ActiveState === 'inactive',
  );
  t.equal(await machine.ask('pgrep --uid pinion-app; true'), '', 'no process of the app');
  say(t, 'S22 shown');
});

/** What CloudWatch has of a metric of this app. */
async function sumOf(name: string): Promise<number> {
  const [StartTime, EndTime] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 3_600_000)];
  const Dimensions = Object.entries({ App: modest.app, Env: modest.env }).map(([Name, Value]) => ({ Name, Value }));
  const query = { Namespace: metricNamespace, MetricName: name, Dimensions, StartTime, EndTime, Period: 7_200, Statistics: ['Sum' as const] };
  const { Datapoints } = await cloudWatch.send(new GetMetricStatisticsCommand(query));
  return Datapoints?.[0]?.Sum ?? 0;
}
