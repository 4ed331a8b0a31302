import { type CauseReport, causeLine, Failure } from '../../contract/causes.ts';
import type { AgentEvent } from '../../contract/events.ts';
import type { Readiness, StateName } from '../../contract/status.ts';
import type { Imds } from '../imds.ts';
import type { Limits } from '../limits.ts';
import { createHistory } from './history.ts';
import { createMetrics } from './metrics.ts';
import type { Notify } from './notify.ts';

/** Where an agent's words go: its log (coded events), the one cause line of every failure (stderr, and so the console of an instance), and systemd. */
export type Voice = {
  readonly log: (event: AgentEvent) => void;
  readonly console: (line: string) => void;
  /** Lines of the log that nothing took. */
  readonly lost: () => number;
  readonly notify: Notify;
};

/** Not a number, which is not sent but counted, where no descriptor is to be had: it reads /proc. */
function residentBytes(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return Number.NaN;
  }
}

/** The one place where what happens is told: each event goes to the log, the history, the metrics, the console and systemd as it concerns them. */
export function createReporting(imds: Imds | undefined, limits: Limits, voice: Voice, readiness: () => Readiness) {
  // The clock begins with the process.
  const sinceStartMs = () => Math.round(performance.now());
  const history = createHistory(() => performance.now());
  let hasBeenReady = false;
  let drainingSinceMs: number | undefined;
  let lastLine: string | undefined;
  let linesLost = 0;
  /** What the kernel ended for want of memory and was not yet missed among the workers. */
  let outOfMemory = 0;

  const metrics = createMetrics({
    imds,
    limits,
    read: () => {
      if (voice.lost() > linesLost) metrics.record('LogLinesLost', voice.lost() - linesLost);
      linesLost = voice.lost();
      const { state, cause } = readiness();
      return { Ready: state === 'ready' && cause === undefined ? 1 : 0, AgentMemory: residentBytes() };
    },
    onTrouble: (detail) => voice.log({ event: 'metrics-failed', detail }),
    onRecovered: () => voice.log({ event: 'metrics-recovered' }),
  });

  const entered = (state: StateName) => {
    const { cause } = readiness();
    history.stateChanged();
    voice.notify.status(cause === undefined ? state : `${state}: ${cause}`);
    if (state === 'ready') {
      if (!hasBeenReady) metrics.record('BootSeconds', sinceStartMs() / 1000, 'total');
      hasBeenReady = true;
      // What happens again after it was ready is news.
      lastLine = undefined;
    }
    if (state === 'failed' && cause !== undefined && !hasBeenReady) {
      metrics.record('BootFailures', 1, cause);
      void metrics.flushNow();
    }
    if (state === 'draining') {
      drainingSinceMs = performance.now();
      voice.notify.stopping();
    }
    if (state === 'stopped' && drainingSinceMs !== undefined) metrics.record('DrainSeconds', (performance.now() - drainingSinceMs) / 1000);
  };

  const say = (event: AgentEvent): void => {
    voice.log(event);
    switch (event.event) {
      case 'identified':
        history.identified(event);
        metrics.belongTo(event);
        break;
      case 'phase-started':
        voice.notify.status(`booting: ${event.phase}`);
        break;
      case 'phase-ended':
        history.phaseEnded(event.phase, event.ms);
        metrics.record('BootSeconds', event.ms / 1000, event.phase);
        break;
      case 'phase-retried':
      case 'app-role-failed':
      case 'lifecycle-action-failed':
        history.happened(event);
        break;
      case 'app-started':
        if (history.appStarted(event.pid)) metrics.record('Restarts', 1);
        break;
      case 'app-adopted':
        history.appStarted(event.pid);
        // It was booted, and counted, by the agent before.
        hasBeenReady = true;
        break;
      case 'app-oom-killed':
        metrics.record('OomKills', event.count);
        outOfMemory += event.count;
        break;
      case 'app-exited':
        history.appExited();
        outOfMemory = 0;
        break;
      case 'state':
        entered(event.to);
        break;
    }
  };

  return {
    say,
    history,
    sinceStartMs,
    /** A cause: the same one again in a row is a line of the log, but no second one of the console. */
    report(cause: CauseReport): void {
      history.happened(cause);
      say({ event: 'failed', ...cause });
      const line = causeLine(cause);
      if (line !== lastLine) voice.console(line);
      lastLine = line;
    },
    /** What a probe met, and the workers that gunicorn has now. `said` gives what the app's last lines say of a process. */
    probed(result: Parameters<typeof history.probed>[0], workers: readonly number[], said: (pid: number) => string | undefined): void {
      history.probed(result);
      if (result.hasAnswered) metrics.record('ProbeLatency', result.latencyMs);
      for (const pid of history.workersSeen(workers)) {
        // gunicorn's own words come through the journal, and may come later.
        const words = said(pid) ?? (outOfMemory > 0 ? 'the kernel ended it for want of memory' : undefined);
        outOfMemory = Math.max(0, outOfMemory - 1);
        history.happened(new Failure('APP_WORKER_REPLACED', { pid, detail: words === undefined ? '' : `: ${words}` }).report);
        metrics.record('WorkersReplaced', 1);
        say({ event: 'worker-replaced', pid });
      }
    },
    close: (timeoutMs: number): Promise<void> => metrics.close(timeoutMs),
  };
}
