import { type ProbeResult, probe } from './probe.ts';

export type Probing = { stop(): void };

/** Probes at once and then every `everyMs`, one at a time; calls `onResult` for each until it is stopped. */
export function startProbing(target: Parameters<typeof probe>[0], everyMs: number, timeoutMs: number, onResult: (result: ProbeResult) => void): Probing {
  const stopped = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const round = async () => {
    const result = await probe(target, timeoutMs, stopped.signal);
    if (stopped.signal.aborted) return;
    timer = setTimeout(round, Math.max(0, everyMs - result.latencyMs));
    onResult(result);
  };
  void round();
  return {
    stop() {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}
