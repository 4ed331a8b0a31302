import '../image/guest/enter-lab.ts';
import { CloudWatchClient, GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';
import t from 'tap';
import type { AgentEvent } from '../../contract/events.ts';
import type { Readiness, Status } from '../../contract/status.ts';
import type { UserData } from '../../contract/user-data.ts';
import { buildForGuest } from '../image/guest/artifact.ts';
import { diskOf } from '../image/guest/disk.ts';
import { sealedImage } from '../image/guest/image.ts';
import { serveMetadata } from '../image/guest/instance.ts';
import { openLab } from '../image/guest/lab.ts';
import { bootMachine } from '../image/guest/machine.ts';
import { makeTapNetwork } from '../image/guest/tap-network.ts';
import { agentUnit, appUnit } from '../image/shop.ts';
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
const memoryMaxMb = 200;
const tooMuchMb = 400;
const crashLoopCount = 4;
/** An emulated processor is one to two orders of magnitude slower, and so are these. The machine is killed after `timeoutMs`. */
const timeoutMs = 840_000;
const limits = {
  ...{ imdsTimeoutMs: 20_000, connectTimeoutMs: 20_000, requestTimeoutMs: 60_000, stallWindowMs: 60_000 },
  ...{ startMs: 300_000, probeTimeoutMs: 20_000, probeStartingIntervalMs: 500, metricsPeriodMs: 5_000, crashLoopCount },
};

const lab = await openLab(t);
const [disk, cloud, { appDir }] = await Promise.all([
  diskOf(sealedImage()),
  startCloud(t),
  buildForGuest(t.testdir(), { files: { 'shop.py': source }, settings: 'entry-point = "shop:app"\ninclude = ["shop.py"]\nconfig = ["EAT"]\n' }),
]);
const patient = (userData: UserData): UserData => ({ ...userData, times: { ...userData.times, bootBudgetMs: 300_000 } });
const modest = patient(await cloud.releaseBuilt(appDir, { EAT: '0' }));
const greedy = patient(await cloud.releaseBuilt(appDir, { EAT: String(tooMuchMb) }));

const network = await makeTapNetwork(lab);
t.teardown(() => network.remove());
const { imds } = await serveMetadata(t, lab, network, { userData: modest });
// What it has of the lab: the endpoint, patience, and a bound of the app's memory that is soon reached.
const environment = { AWS_ENDPOINT_URL: await lab.expose(cloud.endpoint), PINION_LIMITS: JSON.stringify(limits) };
const variables = Object.entries(environment).map(([name, value]) => `Environment='${name}=${value}'\n`);
const dropIns = {
  [agentUnit]: `[Service]\n${variables.join('')}WatchdogSec=300s\nTimeoutStartSec=300s\n`,
  [appUnit]: `[Service]\nMemoryMax=${memoryMaxMb}M\nTimeoutStartSec=300s\n`,
};
const startedAtMs = performance.now();
const machine = await bootMachine(t, { disk, network, memoryMb: 1024, dropIns, timeoutMs });
let booted: UserData | undefined = modest;

const host = `http://${network.address}`;
const eat = () => fetch(`${host}:8000/eat`, { method: 'POST', body: String(tooMuchMb) });
const asApp = async (line: string) => (await fetch(`${host}:8000/run`, { method: 'POST', body: line })).text();
const readyz = async () => {
  const { status, body } = await get(`${host}:8081/readyz`);
  return { status, body: JSON.parse(body) as Readiness };
};
const isReady = ({ status }: { readonly status: number }) => status === 200;
const status = async (): Promise<Status> => JSON.parse(await machine.ask('pinion-agent status --json; true'));
/** What systemd says of a unit. */
const show = async (unit: string) =>
  Object.fromEntries(
    (await machine.ask(`systemctl show --property=MainPID,NRestarts,Result,ActiveState,MemoryMax ${unit}`)).split('\n').map((line) => line.split('=')),
  );
const journal = `journalctl --output=cat _SYSTEMD_INVOCATION_ID=$(systemctl show --property=InvocationID --value ${agentUnit})`;
const eventsIn = (text: string) => text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as AgentEvent] : []));
/** What the agent said since it was started. */
const events = async () => eventsIn(await machine.ask(journal));
const untilSaid = (event: AgentEvent['event']) => machine.untilSaid(`${journal} --follow --lines=all`, (line) => eventsIn(line)[0]?.event === event);
/** An instance that was launched with this user data: the same machine, whose agent begins anew. */
const launchedWith = async (userData: UserData | undefined) => {
  if (booted === userData) return;
  booted = userData;
  imds.setUserData(userData && Buffer.from(JSON.stringify(userData)));
  await machine.ask(`systemctl restart ${agentUnit}`);
};
const say = (what: string) => t.comment(`${what}: ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s after power on`);
say('first shell');

t.test("boots to ready from nothing but its user data, under Debian's own kernel", async (t) => {
  await launchedWith(modest);
  await eventually(readyz, isReady);
  say('ready');
  t.match((await readyz()).body, { state: 'ready', release: modest.release });
  t.equal(await machine.ask('systemctl is-system-running --wait'), 'running', 'no unit failed');
  t.comment(await machine.ask(`systemd-analyze; systemd-analyze critical-chain --no-pager ${agentUnit}`));
  say('boot shown');
});

t.test('S21: a worker takes more memory than the app may: the kernel ends it, gunicorn replaces it, app and agent live on', async (t) => {
  await launchedWith(modest);
  await eventually(readyz, isReady);
  const before = { agent: await show(agentUnit), app: await show(appUnit) };
  t.equal(before.app.MemoryMax, String(memoryMaxMb * 2 ** 20));
  await t.rejects(eat(), 'the request ends with its worker');
  say('eaten');
  await untilSaid('worker-replaced');
  say('worker replaced');
  t.match(await machine.ask('journalctl --output=cat _TRANSPORT=kernel | grep "Memory cgroup out of memory" | tail -1'), /Killed process \d+ \(python\)/);
  t.match(
    (await events()).filter(({ event }) => event === 'app-oom-killed'),
    [{ count: 1 }],
  );
  t.same({ agent: await show(agentUnit), app: await show(appUnit) }, before, 'the same processes, no unit was restarted');
  const { state, restarts, workersReplaced, causes } = await status();
  t.match({ state, restarts, workersReplaced, causes }, { state: 'ready', restarts: 0, workersReplaced: 1 });
  t.match(causes[0], { cause: 'APP_WORKER_REPLACED', sentence: /memory/ });
  t.match(await readyz(), { status: 200 });
  t.equal(await sumOf('OomKills'), 1, 'CloudWatch has it');
  say('S21 shown');
});

t.test('S21: it is gunicorn itself that the kernel ends: its workers end with it, and the agent starts it again', async (t) => {
  await launchedWith(modest);
  await eventually(readyz, isReady);
  const { MainPID } = await show(appUnit);
  const { restarts } = await status();
  await machine.ask(`echo 1000 >/proc/${MainPID}/oom_score_adj`);
  await eat().catch(() => {});
  await untilSaid('app-exited');
  say('arbiter ended');
  t.match(
    (await events()).filter(({ event }) => event === 'app-exited'),
    [{ exit: 'SIGKILL, out of memory', wasKilled: false }],
  );
  await eventually(readyz, isReady);
  say('ready again');
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
  t.match(await asApp(ask(10)), /timed out/, 'without them nothing comes back');
  t.equal(await machine.ask(`setpriv --reuid=pinion --regid=pinion --init-groups ${ask(60)}`), '200', 'the agent is answered');
  await machine.ask('systemctl restart pinion-firewall.service');
  say('filters shown');
});

t.test('S22: the app takes too much whenever it is imported: the cause, on the console too, and nothing of it is left', async (t) => {
  await launchedWith(greedy);
  await machine.untilConsole(/pinion: APP_OUT_OF_MEMORY: the kernel ended processes of the app \d+ times/);
  say('cause on the console');
  await eventually(readyz, ({ body }) => body.state === 'failed');
  t.match(await readyz(), { status: 503, body: { state: 'failed', cause: 'APP_OUT_OF_MEMORY', release: greedy.release } });
  const counts = (await events()).flatMap((event) => (event.event === 'app-oom-killed' ? event.count : []));
  t.ok(counts.length >= crashLoopCount, `killed: ${counts}`);
  await eventually(
    () => show(appUnit),
    ({ ActiveState }) => ActiveState === 'inactive',
  );
  t.equal(await machine.ask('pgrep --uid pinion-app; true'), '', 'no process of the app');
  say('S22 shown');
});

t.test('N12: an instance that was launched without user data says so on its console', async (t) => {
  await launchedWith(undefined);
  await machine.untilConsole(/pinion: USER_DATA_EMPTY: /);
  t.match(await readyz(), { status: 503, body: { state: 'failed', cause: 'USER_DATA_EMPTY' } });
  say('all shown');
});

/** What CloudWatch has of a metric of this app, once it has any. */
async function sumOf(name: string): Promise<number | undefined> {
  const cloudWatch = new CloudWatchClient({ endpoint: cloud.endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
  const [StartTime, EndTime] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 3_600_000)];
  const Dimensions = [
    { Name: 'App', Value: modest.app },
    { Name: 'Env', Value: modest.env },
  ];
  const query = new GetMetricStatisticsCommand({ Namespace: 'Pinion', MetricName: name, Dimensions, StartTime, EndTime, Period: 7_200, Statistics: ['Sum'] });
  const [datum] = await eventually(
    async () => (await cloudWatch.send(query)).Datapoints ?? [],
    ({ length }) => length > 0,
  );
  cloudWatch.destroy();
  return datum?.Sum;
}
