import { join } from 'node:path';
import { asFailure, type CauseReport, Failure } from '../contract/causes.ts';
import type { AgentEvent } from '../contract/events.ts';
import type { Readiness, Status } from '../contract/status.ts';
import type { App } from './app/app.ts';
import { createChildApp } from './app/child.ts';
import { environmentName, gunicornCommand } from './app/gunicorn.ts';
import { type Exit, sayExit } from './app/restart.ts';
import { createUnitApp } from './app/unit.ts';
import type { BootProcess } from './boot/child.ts';
import { forgetLaunch, keepLaunch } from './boot/kept.ts';
import type { Launch } from './boot/prepare.ts';
import { tokenName } from './credentials/token.ts';
import type { CredentialsServer } from './credentials/vend.ts';
import { watchConnections } from './drain/connections.ts';
import { drainTimes, longestDrainMs } from './drain/order.ts';
import { createImds } from './imds.ts';
import { startLifecycle } from './lifecycle/lifecycle.ts';
import { type Effect, type Event, type Life, newLife, step, type TimerName } from './machine.ts';
import type { ProbeResult } from './readiness/probe.ts';
import { startProbing } from './readiness/probing.ts';
import { staleness } from './readiness/verdict.ts';
import { startHeartbeat } from './reporting/heartbeat.ts';
import { createReporting, type Voice } from './reporting/reporting.ts';
import type { Settings } from './settings.ts';
import { agentVersion } from './version.ts';

/**
 * One life, around a boot that is already under way: answers health, starts and watches the app, probes it, and drains. Resolves when it has ended; `stop` begins
 * the drain, and once more shortens it. An instance that its group or Spot ends drains by itself, and stays. Throws HEALTH_PORT_IN_USE before the app is touched.
 */
export async function live(boot: BootProcess, settings: Settings, voice: Voice, onStop: (stop: () => void) => void): Promise<void> {
  const { stateFolder, runtimeFolder, appFolder, appUnit, limits } = settings;
  const imds = settings.userDataFile === undefined ? createImds(process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT, limits) : undefined;
  // systemd takes STOPPING for the end of the service; an agent that leaves its group stays.
  const notify = { ...voice.notify, stopping: () => void (life.isLeaving || voice.notify.stopping()) };
  const reporting = createReporting(imds, limits, { ...voice, notify }, () => readiness());
  const { say, report, history, sinceStartMs } = reporting;
  const timers = new Map<TimerName, NodeJS.Timeout>();
  const bootLines: string[] = [];
  const ended = Promise.withResolvers<void>();
  const lifecycle = imds && startLifecycle({ imds, limits, stateFolder, say, report, onLeaving: () => handle({ type: 'leave' }) });
  let life: Life = newLife;
  let drainingSinceMs = 0;
  let launch: Launch | undefined;
  let app: App | undefined;
  let probing: { stop(): void } | undefined;
  let draining: { stop(): void } | undefined;
  let credentials: CredentialsServer | undefined;

  function handle(event: Event): void {
    const before = life.state;
    const { life: after, effects } = step(life, event, limits);
    life = after;
    if (after.state !== before) say({ event: 'state', from: before, to: after.state, sinceStartMs: sinceStartMs() });
    if (after.state !== before && (after.state !== 'stopped' || after.isLeaving)) lifecycle?.tell(after.state);
    for (const effect of effects) perform(effect);
    if (after.state === 'failed' && before !== 'failed') void app?.close();
    if (after.state === 'draining' && before !== 'draining') drainingSinceMs = performance.now();
  }

  function perform(effect: Effect): void {
    switch (effect.do) {
      case 'start-app':
        startApp();
        break;
      case 'terminate-app':
        say({ event: 'app-terminating', cause: life.state === 'draining' ? 'DRAIN' : (life.report?.cause ?? 'DRAIN') });
        app?.terminate();
        break;
      case 'kill-app':
        app?.kill();
        break;
      case 'stop-boot':
        void boot.stop();
        break;
      case 'probe':
        probing?.stop();
        if (effect.pace !== 'none') probing = startProbing(probeTarget(), paceOf(effect.pace), limits.probeTimeoutMs, probed);
        break;
      case 'watch-connections':
        draining = watchConnections(probeTarget(), limits.connectionsEveryMs, () => handle({ type: 'connections-gone' }));
        break;
      case 'set-timer':
        clearTimeout(timers.get(effect.name));
        timers.set(
          effect.name,
          setTimeout(() => handle({ type: 'timer', name: effect.name }), effect.afterMs),
        );
        break;
      case 'report':
        report(effect.report);
        break;
      case 'exit':
        ended.resolve();
        break;
    }
  }

  const paceOf = (pace: 'starting' | 'steady') => ({
    everyMs: pace === 'starting' ? limits.probeStartingIntervalMs : limits.probeIntervalMs,
    refusedEveryMs: limits.probeIntervalMs,
  });

  function startApp(): void {
    app?.start().then(
      ({ pid, how }) => {
        say({ event: how === 'adopted' ? 'app-adopted' : 'app-started', pid });
        handle({ type: 'app-started' });
      },
      (thrown) => {
        const failure = thrown instanceof Failure ? thrown : spawnFailure(thrown);
        handle({ type: 'start-failed', failure, chance: Math.random() });
      },
    );
  }

  function appExited(exit: Exit): void {
    say({ event: 'app-exited', exit: sayExit(exit), wasKilled: exit.wasKilled === true });
    handle({ type: 'app-exited', exit, tail: app?.tail() ?? [], atMs: performance.now(), chance: Math.random() });
  }

  function probed(result: ProbeResult): void {
    const ownPrefix = /^(\[[^\]]*\] ){1,3}/;
    const said = (pid: number) =>
      app
        ?.tail()
        .findLast((line) => line.includes(`pid:${pid})`))
        ?.replace(ownPrefix, '');
    reporting.probed(result, app?.workers() ?? [], said);
    handle({ type: 'probed', ...result });
  }

  const probeTarget = () => {
    // An app that binds one address answers on no other; one that binds all is asked as the load balancer asks it.
    const host = settings.bind === '0.0.0.0' ? (launch?.address ?? '127.0.0.1') : settings.bind;
    return { host, port: settings.trafficPort, path: launch?.manifest.healthPath ?? '/' };
  };
  const readiness = (): Readiness => ({
    state: life.state,
    ...(life.state === 'booting' && life.phase !== 'its start' && { phase: life.phase }),
    ...(launch !== undefined && { release: launch.release, commit: launch.commit }),
    ...(life.state === 'ready' ? againstReady() : life.report),
  });
  /** Ready is what the last probes proved: it ends with the process, before anything is done about that, and with their age. */
  const againstReady = () => {
    const exit = app?.ended();
    if (exit !== undefined) return new Failure('APP_EXITED', { exit: sayExit(exit) }).report;
    return staleness(history.sinceProbes(), probeTarget().path, limits);
  };
  const status = (): Status => ({
    ...readiness(),
    agent: agentVersion,
    pid: process.pid,
    sinceStartMs: sinceStartMs(),
    ...history.read(),
    config: launch?.config ?? {},
    logLinesLost: voice.lost(),
    logTail: app?.tail() ?? bootLines,
  });

  function bootSays(event: AgentEvent): void {
    if (event.event === 'identified') handle({ type: 'budget', ms: event.budgetMs });
    if (event.event === 'phase-started') handle({ type: 'phase', phase: event.phase });
    if (event.event === 'phase-ended') lifecycle?.tell('progress');
    say(event);
  }

  function launched(made: Launch): void {
    launch = made;
    if (appUnit !== undefined) keepLaunch(runtimeFolder, made);
    app = createApp(made);
    say({ event: 'booted', ms: sinceStartMs(), release: made.release, commit: made.commit });
    const { entryPoint, healthPath, gunicorn } = made.manifest;
    const gracefulTimeoutMs = gunicorn.gracefulTimeoutSeconds * 1000;
    const facts = { entryPoint, healthPath, gracefulTimeoutMs, ...drainTimes(made.times, limits) };
    // An app makes its AWS clients when it is imported.
    vend(made).then(
      () => handle({ type: 'booted', app: facts }),
      (thrown) => handle({ type: 'boot-failed', report: asFailure(thrown).report }),
    );
  }

  async function vend({ appRoleArn: roleArn, instance: session }: Launch): Promise<void> {
    if (roleArn === undefined) return;
    const { serveCredentials } = await import('./credentials/vend.ts');
    const told = { onFailure: (cause: CauseReport) => say({ event: 'app-role-failed', ...cause }), onRecovered: () => say({ event: 'app-role-recovered' }) };
    credentials = await serveCredentials({ roleArn, session, port: settings.credentialsPort, tokenFile: join(appFolder, tokenName), imds, limits, ...told });
  }

  function createApp({ app: name, config, preparedAtUs }: Launch): App {
    const command = gunicornCommand(stateFolder, appFolder);
    const common = {
      environmentFile: join(runtimeFolder, environmentName),
      folder: join(stateFolder, 'current', 'app'),
      bind: { host: settings.bind, port: settings.trafficPort },
      configNames: Object.keys(config),
      onLine: (line: string) => say({ event: 'app-output', app: name, line }),
      onExit: appExited,
    };
    if (appUnit === undefined) return createChildApp({ ...common, command, recordFile: join(runtimeFolder, 'app.json') });
    return createUnitApp({
      ...common,
      unit: appUnit,
      interpreter: command[0],
      preparedAtUs,
      cursorFile: join(runtimeFolder, 'journal-cursor'),
      onOomKills(count) {
        say({ event: 'app-oom-killed', count });
        handle({ type: 'oom-killed', atMs: performance.now() });
      },
      onTrouble: (detail) => say({ event: 'unit-trouble', detail }),
    });
  }

  handle({ type: 'budget', ms: limits.bootBudgetMs });
  onStop(() => handle({ type: 'stop' }));
  // Loaded while the boot process is starting: it costs 50 ms.
  const { serveHealth } = await import('./readiness/server.ts');
  const bind = { host: settings.bind, port: settings.healthPort, socket: settings.healthSocket, statusSocket: join(runtimeFolder, 'agent.sock') };
  const health = await serveHealth(bind, { readiness, status });
  say({ event: 'health-listening', address: `${settings.bind}:${health.port}`, sinceStartMs: sinceStartMs() });
  /** While it drains as it should: past the time that this takes at most, systemd's own limit counts again. */
  const isDraining = () => life.state === 'draining' && life.app !== undefined && performance.now() - drainingSinceMs < longestDrainMs(life.app, limits);
  const heartbeat = startHeartbeat({ notify: voice.notify, health: { host: settings.bind, port: health.port }, isDraining, limits });
  boot.listen({
    onEvent: bootSays,
    onLine(line) {
      if (bootLines.push(line) > 40) bootLines.shift();
      say({ event: 'boot-output', line });
    },
    onLaunch: launched,
    onFailure: (report) => handle({ type: 'boot-failed', report }),
  });
  await ended.promise;
  await boot.stop();
  await app?.close();
  if (appUnit !== undefined) forgetLaunch(runtimeFolder);
  for (const work of [lifecycle, probing, draining, heartbeat]) work?.stop();
  for (const timer of timers.values()) clearTimeout(timer);
  await Promise.all([health.close(), credentials?.close()]);
  await reporting.close(limits.lastWordsMs);
  say({ event: 'stopped', sinceStartMs: sinceStartMs() });
}

/** A system error met on the way to a start, with the file that it names. */
function spawnFailure(thrown: unknown): Failure {
  const { code, path = '' } = thrown as NodeJS.ErrnoException;
  return new Failure('APP_SPAWN_FAILED', { detail: code === undefined ? String(thrown) : `${path} ${code}`.trim() }, { cause: thrown });
}
