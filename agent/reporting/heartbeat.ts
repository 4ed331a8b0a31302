import type { Limits } from '../limits.ts';
import { probe } from '../readiness/probe.ts';
import type { Notify } from './notify.ts';

type Options = {
  readonly notify: Notify;
  /** Where this agent answers health. */
  readonly health: { readonly host: string; readonly port: number };
  readonly isDraining: () => boolean;
  readonly limits: Pick<Limits, 'heartbeatMs'>;
};

/**
 * Tells the service manager that this agent works: READY when its health port answers, then WATCHDOG and, while it drains, more time, each only after a request
 * to its own health port went through the whole of its loop. Nothing without a service manager.
 */
export function startHeartbeat({ notify, health, isDraining, limits }: Options): { stop(): void } {
  const stopped = new AbortController();
  if (!notify.isOn) return { stop() {} };
  // Half of what the watchdog allows (sd_watchdog_enabled(3)).
  const everyMs = Math.min(limits.heartbeatMs, (notify.watchdogMs ?? Number.POSITIVE_INFINITY) / 2);
  let isReady = false;
  let timer: NodeJS.Timeout | undefined;
  const beat = async () => {
    const { isGood } = await probe({ ...health, path: '/livez' }, everyMs, stopped.signal);
    if (stopped.signal.aborted) return;
    if (isGood) {
      if (!isReady) notify.ready();
      isReady = true;
      if (notify.watchdogMs !== undefined) notify.watchdog();
      if (isDraining()) notify.extend(3 * everyMs);
    }
    timer = setTimeout(beat, everyMs);
  };
  void beat();
  return {
    stop() {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}
