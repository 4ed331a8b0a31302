import { join } from 'node:path';
import { type CauseReport, causeLine, Failure } from '../contract/causes.ts';
import type { AgentEvent, BootPhase } from '../contract/events.ts';
import type { Readiness, Status } from '../contract/status.ts';
import type { App } from './app/app.ts';
import { createChildApp } from './app/child.ts';
import { environmentName, gunicornCommand } from './app/gunicorn.ts';
import { sayExit } from './app/restart.ts';
import type { BootProcess } from './boot/child.ts';
import type { Launch } from './boot/prepare.ts';
import { type Effect, type Event, type Life, newLife, step, type TimerName } from './machine.ts';
import { type Probing, startProbing } from './readiness/probing.ts';
import type { Settings } from './settings.ts';
import { agentVersion } from './version.ts';

/** Where an agent's words go: its log (coded events), and the one cause line of every failure (stderr, and so the console of an instance). */
export type Voice = { readonly log: (event: AgentEvent) => void; readonly console: (line: string) => void };

/**
 * One life, around a boot that is already under way: answers health, starts and watches the app, probes it, and drains. Resolves when it has ended; `stop` begins
 * the drain, and once more shortens it. Throws HEALTH_PORT_IN_USE before the app is touched.
 */
export async function live(boot: BootProcess, settings: Settings, voice: Voice, onStop: (stop: () => void) => void): Promise<void> {
  const { stateFolder, runtimeFolder, limits } = settings;
  // The clock begins with the process.
  const sinceStartMs = () => Math.round(performance.now());
  const timers = new Map<TimerName, NodeJS.Timeout>();
  const phasesMs: Partial<Record<BootPhase, number>> = {};
  const bootLines: string[] = [];
  const ended = Promise.withResolvers<void>();
  let life: Life = newLife;
  let phase: BootPhase | undefined;
  let launch: Launch | undefined;
  let app: App | undefined;
  let probing: Probing | undefined;
  let starts = 0;

  const createApp = ({ manifest, config }: Launch): App =>
    createChildApp({
      command: gunicornCommand(stateFolder, runtimeFolder),
      environmentFile: join(runtimeFolder, environmentName),
      folder: join(stateFolder, 'current', 'app'),
      bind: { host: settings.bind, port: settings.trafficPort },
      configNames: Object.keys(config),
      recordFile: join(runtimeFolder, 'app.json'),
      onLine: (line) => voice.log({ event: 'app-output', app: manifest.app, line }),
      onExit(exit) {
        probing?.stop();
        voice.log({ event: 'app-exited', exit: sayExit(exit) });
        handle({ type: 'app-exited', exit, tail: app?.tail() ?? [], atMs: performance.now(), chance: Math.random() });
      },
    });

  function handle(event: Event): void {
    const before = life.state;
    const { life: after, effects } = step(life, event, limits);
    life = after;
    if (after.state !== before) voice.log({ event: 'state', from: before, to: after.state, sinceStartMs: sinceStartMs() });
    for (const effect of effects) perform(effect);
  }

  function perform(effect: Effect): void {
    switch (effect.do) {
      case 'start-app':
        startApp();
        break;
      case 'terminate-app':
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
        probing = startProbing(probeTarget(), effect, limits.probeTimeoutMs, ({ isGood, detail }) => handle({ type: 'probed', isGood, detail }));
        break;
      case 'set-timer':
        timers.set(
          effect.name,
          setTimeout(() => handle({ type: 'timer', name: effect.name }), effect.afterMs),
        );
        break;
      case 'cancel-timer':
        clearTimeout(timers.get(effect.name));
        break;
      case 'report':
        report(effect.report);
        break;
      case 'exit':
        ended.resolve();
        break;
    }
  }

  function startApp(): void {
    app?.start().then(
      (pid) => {
        starts++;
        voice.log({ event: 'app-started', pid });
        handle({ type: 'app-started' });
      },
      (thrown) => {
        const failure = thrown instanceof Failure ? thrown : new Failure('APP_SPAWN_FAILED', { detail: String(thrown) }, { cause: thrown });
        handle({ type: 'start-failed', failure, chance: Math.random() });
      },
    );
  }

  function report(cause: CauseReport): void {
    voice.log({ event: 'failed', ...cause });
    voice.console(causeLine(cause));
  }

  const probeTarget = () => {
    // An app that binds one address answers on no other; one that binds all is asked as the load balancer asks it.
    const host = settings.bind === '0.0.0.0' ? (launch?.address ?? '127.0.0.1') : settings.bind;
    return { host, port: settings.trafficPort, path: launch?.manifest.healthPath ?? '/' };
  };
  const readiness = (): Readiness => ({
    state: life.state,
    ...(life.state === 'booting' && phase !== undefined && { phase }),
    ...(launch !== undefined && { release: launch.release, commit: launch.commit }),
    ...life.report,
  });
  const status = (): Status => ({
    ...readiness(),
    agent: agentVersion,
    instance: launch?.instance ?? '',
    sinceStartMs: sinceStartMs(),
    phasesMs,
    config: launch?.config ?? {},
    starts,
    logTail: app?.tail() ?? bootLines.slice(-40),
  });

  onStop(() => handle({ type: 'stop' }));
  // Loaded while the boot process is starting: it costs 50 ms.
  const { serveHealth } = await import('./readiness/server.ts');
  const bind = { host: settings.bind, port: settings.healthPort, statusSocket: join(runtimeFolder, 'agent.sock') };
  const health = await serveHealth(bind, { readiness, status });
  voice.log({ event: 'health-listening', address: `${settings.bind}:${health.port}`, sinceStartMs: sinceStartMs() });
  boot.listen({
    onEvent(event) {
      if (event.event === 'phase-started') phase = event.phase;
      if (event.event === 'phase-ended') phasesMs[event.phase] = event.ms;
      voice.log(event);
    },
    onLine(line) {
      bootLines.push(line);
      voice.log({ event: 'boot-output', line });
    },
    onLaunch(launched) {
      launch = launched;
      app = createApp(launched);
      voice.log({ event: 'booted', ms: sinceStartMs(), release: launched.release, commit: launched.commit });
      const { entryPoint, healthPath, gunicorn } = launched.manifest;
      handle({ type: 'booted', app: { entryPoint, healthPath, gracefulTimeoutMs: gunicorn.gracefulTimeoutSeconds * 1000 } });
    },
    onFailure: (report) => handle({ type: 'boot-failed', report }),
  });
  await ended.promise;
  await boot.stop();
  probing?.stop();
  for (const timer of timers.values()) clearTimeout(timer);
  await health.close();
  voice.log({ event: 'stopped', sinceStartMs: sinceStartMs() });
}
