// `npm start`: pinion's main job on one machine. The cloud, a release of the app, and one instance after another that boots the newest as on EC2.
import { EventEmitter, once } from 'node:events';
import { get } from 'node:http';
import { relative } from 'node:path';
import { createInterface } from 'node:readline';
import { claim } from '../agent/claim.ts';
import { requireFreePort } from '../agent/port.ts';
import { asFailure, causeLine } from '../contract/causes.ts';
import type { AgentEvent } from '../contract/events.ts';
import { composeUserData } from '../contract/infrastructure.ts';
import { makeFirstRelease, type Prepared } from './first-release.ts';
import { startGateway } from './gateway.ts';
import { type LocalInstance, launchInstance } from './instance.ts';
import { again, eventLine, suggestions } from './lines.ts';
import { type LocalSettings, readLocalSettings, usage } from './settings.ts';

const stop = new AbortController();
const stopped = once(stop.signal, 'abort').then(() => stop.signal.throwIfAborted());
stopped.catch(() => {});
const bell = new EventEmitter();
/** What takes things down again, the last first. */
const undo: (() => Promise<unknown>)[] = [];

try {
  const settings = readLocalSettings(process.argv.slice(2), process.env);
  if (settings === 'help') process.stdout.write(usage);
  else await play(settings);
} catch (thrown) {
  if (!stop.signal.aborted) {
    const failure = asFailure(thrown);
    console.error(causeLine(failure.report));
    process.exitCode = failure.code === 'USAGE' ? 2 : 1;
    stop.abort();
  }
}
for (const each of undo.reverse()) await each().catch((thrown) => console.error(causeLine(asFailure(thrown).report)));
process.exit();

async function play(settings: LocalSettings): Promise<void> {
  const { address, trafficPort, healthPort, cloudPort, cloudEndpoint, mode } = settings;
  listen(mode);
  await claim(settings.folder);
  for (const port of [trafficPort, healthPort, ...(cloudEndpoint === undefined ? [cloudPort] : [])]) await requireFreePort({ host: address, port });
  const where = cloudEndpoint === undefined ? 'in a local cloud' : `on ${cloudEndpoint} (AWS_ENDPOINT_URL): what is there is used, nothing is deleted`;
  console.log(`pinion: ${relative(process.cwd(), settings.appDir) || '.'} ${where}`);
  const prepared = await makeFirstRelease(settings, stop.signal, (work) => undo.push(work));
  // One instance is no group: whatever its agent says of its hooks is taken.
  const autoScaling = await startGateway({ owned: { autoscaling: { service: () => ({}), dialect: 'query' } }, rest: prepared.cloud.endpoint });
  undo.push(() => autoScaling.stop());
  let instance: LocalInstance | undefined;
  undo.push(async () => instance?.stop());
  let { newest } = prepared;
  for (let launches = 1; ; launches++) {
    // Listened for from now on: whoever released something broken does not wait for the end of it.
    const relaunch = once(bell, 'relaunch', { signal: stop.signal });
    relaunch.catch(() => {});
    const launched = await launch(settings, prepared, autoScaling.endpoint, newest);
    instance = launched.instance;
    const outcome = await Promise.race([launched.outcome, stopped, relaunch.then(() => 'left' as const)]);
    if (outcome === 'ready') {
      console.log(launches === 1 ? `ready in ${(performance.now() / 1000).toFixed(1)} s` : 'ready');
    }
    if (mode === 'once') {
      if (outcome !== 'ready') process.exitCode = 1;
      else await requestOnce(settings, prepared.app.releaseHeader);
      return;
    }
    if (outcome === 'ready') console.log(launches === 1 ? site(settings, prepared) : again);
    if (outcome === 'failed') console.log(`It did not become ready. ${again}`);
    const left = new AbortController();
    if (outcome === 'ready') void sayIfItEnds(instance, AbortSignal.any([left.signal, stop.signal]));
    await relaunch;
    left.abort();
    await instance.stop();
    const { newestRelease } = await import('./release.ts');
    newest = await newestRelease(prepared.cloud.clients, prepared.place, stop.signal);
  }
}

async function sayIfItEnds({ ended }: LocalInstance, left: AbortSignal): Promise<void> {
  const exit = await ended.catch((thrown) => asFailure(thrown).message);
  if (!left.aborted) console.log(`The agent ended with ${exit}, and the app with it. ${again}`);
}

/** One instance, and how its boot ends. What the app says before it is ready is shown only if it never gets there. */
async function launch(
  settings: LocalSettings,
  { cloud, place, infrastructure }: Prepared,
  autoScalingEndpoint: string,
  { release, recordSha256, interpreter }: Prepared['newest'],
) {
  const { promise: outcome, resolve: settle } = Promise.withResolvers<'ready' | 'failed'>();
  const early: string[] = [];
  let isEarly = true;
  let hasEnded = false;
  const settleAs = (end: 'ready' | 'failed') => {
    isEarly = false;
    settle(end);
  };
  const onEvent = (event: AgentEvent) => {
    const line = eventLine(event);
    if (line !== undefined) console.log(line);
    // The first start that ends says why; the others say the same.
    if (event.event === 'app-exited' && isEarly) {
      for (const earlier of early.splice(0).slice(-100)) console.log(`  | ${earlier}`);
      hasEnded = true;
    }
    if (event.event === 'app-output' && isEarly) {
      if (!hasEnded) early.push(event.line);
    } else if (event.event === 'app-output' && settings.mode === 'stay') console.log(`  | ${event.line}`);
    if (event.event === 'state' && (event.to === 'ready' || event.to === 'failed')) settleAs(event.to);
  };
  const instance = await launchInstance({
    userData: composeUserData(place, infrastructure, release, recordSha256),
    cloudEndpoint: cloud.endpoint,
    autoScalingEndpoint,
    folder: settings.folder,
    address: settings.address,
    trafficPort: settings.trafficPort,
    healthPort: settings.healthPort,
    interpreter,
    onEvent,
    onConsole: (line) => console.error(line),
  });
  const fail = () => settleAs('failed');
  instance.ended.then(fail, fail);
  console.log(`instance ${instance.id} boots release ${release}`);
  return { instance, outcome };
}

function site({ address, trafficPort, healthPort }: LocalSettings, { app, python, environmentFile }: Prepared): string {
  return suggestions({
    url: `http://${address}:${trafficPort}/`,
    healthUrl: `http://${address}:${healthPort}/readyz`,
    environmentFile: relative(process.cwd(), environmentFile),
    plainName: Object.keys(app.localConfig)[0],
    python: python === app.python ? undefined : python,
  });
}

/** One request as a browser sends it, on a connection that closes: an idle one would hold up the drain. */
async function requestOnce({ address, trafficPort }: LocalSettings, releaseHeader: string | undefined): Promise<void> {
  const url = `http://${address}:${trafficPort}/`;
  const [response] = await once(get(url, { agent: false, signal: stop.signal }), 'response');
  response.resume();
  const header = releaseHeader === undefined ? '' : `, ${releaseHeader}: ${response.headers[releaseHeader.toLowerCase()]}`;
  console.log(`GET ${url} answered ${response.statusCode}${header}`);
  if (response.statusCode >= 500) process.exitCode = 1;
}

function listen(mode: LocalSettings['mode']): void {
  const end = () => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  process.on('SIGHUP', () => bell.emit('relaunch'));
  // Whoever watched is gone.
  process.stdout.on('error', end);
  if (mode === 'once') return;
  createInterface({ input: process.stdin }).on('line', () => bell.emit('relaunch'));
  // A closed terminal sends SIGHUP, which means something else here; without a terminal an end means nothing.
  if (process.stdin.isTTY) process.stdin.on('end', end).on('error', end);
}
