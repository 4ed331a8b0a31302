import { type ProbeResult, probe } from './probe.ts';

/** What this process or host lacks to ask (socket(2), connect(2)) says nothing of the app; what was known of it grows stale. */
const ownTrouble: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']);

export type Probing = { stop(): void };

/** `refusedEveryMs` holds once the app answered with another status than 200: it listens, and may log every request. */
export type Pace = { readonly everyMs: number; readonly refusedEveryMs: number };

/** Probes at once and then at this pace, one at a time; calls `onResult` for each until it is stopped. */
export function startProbing(
  target: Parameters<typeof probe>[0],
  { everyMs, refusedEveryMs }: Pace,
  timeoutMs: number,
  onResult: (result: ProbeResult) => void,
): Probing {
  const stopped = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const round = async () => {
    const result = await probe(target, timeoutMs, stopped.signal);
    if (stopped.signal.aborted) return;
    timer = setTimeout(round, Math.max(0, (result.hasAnswered && !result.isGood ? refusedEveryMs : everyMs) - result.latencyMs));
    if (!ownTrouble.has(result.detail)) onResult(result);
  };
  void round();
  return {
    stop() {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}
