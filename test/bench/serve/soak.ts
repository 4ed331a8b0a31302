import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { childrenOf } from '../../../agent/app/process-group.ts';
import { get, statusOf } from '../../support/launched.ts';
import { atMost, type Figure, mean, trend } from './figures.ts';
import { descriptorsOf, memoryOf } from './proc.ts';
import { sent } from './sent-metrics.ts';
import { type Agent, type Stage, until200 } from './stage.ts';

const heapProgram = new URL('heap.mjs', import.meta.url).href;
const soakMs = 160_000;
const sampleMs = 2_000;
const restMs = 5_000;
/** What thirty minutes bring with the limits of a host; a run that brings less proves nothing. */
const wanted = { probes: 900, flushes: 30, workerKills: 30, masterKills: 10 };
const limits = { probeIntervalMs: 100, metricsPeriodMs: 4_500, stableMs: 500 };
/** Two nodes of a balancer, each every five seconds, for thirty minutes. */
const healthMs = soakMs / 720;
const everyMs = { health: healthMs, app: 20, status: 2_500, workerKill: 4_000, masterKill: 14_000 };

/**
 * Thirty minutes' worth of events in less than three. Growth is judged over the second half: the rise of a straight line through the samples is no slope while
 * it is within twice their spread around it, or within 1 % of their mean. Samples of the heap follow a full collection, so that they are what is held.
 */
export async function soak(stage: Stage): Promise<Figure[]> {
  const heapFile = join(stage.work, 'heap');
  const environment = { NODE_OPTIONS: `--import=${heapProgram}`, PINION_BENCH_HEAP: heapFile, PINION_BENCH_HEAP_MS: String(sampleMs) };
  const agent = await stage.launch({ limits, environment });
  const flushesBefore = await sent(stage, 'AgentMemory');
  const probesBefore = await sent(stage, 'ProbeLatency');
  // The client of CloudWatch is loaded once something was sent.
  while ((await sent(stage, 'AgentMemory')) === flushesBefore) await wait(100);
  const descriptors = await descriptorsAtRest(agent);

  const counts = { health: 0, app: 0, status: 0, workerKills: 0, masterKills: 0 };
  const rss: number[] = [];
  const alone: number[] = [];
  const stop = new AbortController();
  const tasks = [
    every(everyMs.health, stop.signal, async () => {
      await get(`http://127.0.0.1:${agent.healthPort}/readyz`);
      counts.health++;
    }),
    // Refused while gunicorn starts.
    every(everyMs.app, stop.signal, () =>
      get(`http://127.0.0.1:${agent.trafficPort}/`).then(
        () => void counts.app++,
        () => {},
      ),
    ),
    every(everyMs.status, stop.signal, async () => {
      await statusOf(agent.folder);
      counts.status++;
    }),
    every(everyMs.workerKill, stop.signal, async () => {
      const [worker] = childrenOf(masterOf(agent) ?? 0);
      if (worker === undefined) return;
      process.kill(worker, 'SIGKILL');
      counts.workerKills++;
    }),
    every(everyMs.masterKill, stop.signal, async () => {
      const master = masterOf(agent);
      if (master === undefined) return;
      process.kill(master, 'SIGKILL');
      counts.masterKills++;
    }),
    every(sampleMs, stop.signal, async () => {
      const memory = memoryOf(agent.pid);
      rss.push(memory.rss);
      alone.push(memory.alone);
    }),
  ];
  await wait(soakMs);
  stop.abort();
  await Promise.all(tasks);
  await until200(agent.healthPort, '/readyz');
  const descriptorsLeft = await descriptorsAtRest(agent);
  const heap = readFileSync(`${heapFile}.${agent.pid}`, 'utf8')
    .trim()
    .split('\n')
    .map((bytes) => Number(bytes) / 1024);
  await agent.stop();

  const probes = (await sent(stage, 'ProbeLatency')) - probesBefore;
  const flushes = (await sent(stage, 'AgentMemory')) - flushesBefore;
  const lines = readFileSync(agent.logFile, 'utf8').split('\n').length;
  console.log(`  ${probes} probes, ${flushes} metrics flushes, ${counts.workerKills} worker kills, ${counts.masterKills} master kills,`);
  console.log(`  ${counts.health} /readyz, ${counts.status} status reads, ${counts.app} requests to the app, ${lines} lines of log`);
  const got: typeof wanted = { probes, flushes, workerKills: counts.workerKills, masterKills: counts.masterKills };
  for (const [name, least] of Object.entries(wanted)) {
    if (got[name as keyof typeof wanted] < least) throw new Error(`${got[name as keyof typeof wanted]} ${name}: too few to tell, ${least} are wanted`);
  }
  const growths = Object.entries({ rss, 'pss-alone': alone, heap }).map(([name, kb]) => growth(`soak-${name}-growth`, kb));
  return [...growths, atMost('soak-descriptors-left', descriptorsLeft - descriptors, `beyond ${descriptors}`, 0)];
}

function growth(figure: string, kb: readonly number[]): Figure {
  const half = kb.slice(Math.floor(kb.length / 2));
  const { rise, spread } = trend(half);
  const level = mean(half);
  const allowed = Math.max(0.01 * level, 2 * spread);
  const percent = (part: number) => `${((part / level) * 100).toFixed(2)} %`;
  console.log(`  ${figure}: mean ${(level / 1024).toFixed(1)} MiB, rise ${percent(rise)}, spread ${percent(spread)} in ${half.length} samples`);
  return atMost(figure, rise, `KB in the second half`, allowed);
}

/** gunicorn's master: the agent's only child once it has booted. */
const masterOf = ({ pid }: Agent): number | undefined => childrenOf(pid)[0];

/** At rest: the least in a while that holds more than one flush, as the connections of a probe or a flush come and go. */
async function descriptorsAtRest({ pid }: Agent): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (const until = performance.now() + restMs; performance.now() < until; ) {
    least = Math.min(least, descriptorsOf(pid));
    await wait(20);
  }
  return least;
}

/** Does `work` again and again, each time this long after it began the last time, until `signal`. */
async function every(ms: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    const next = performance.now() + ms;
    await work();
    await wait(Math.max(0, next - performance.now()), undefined, { signal }).catch(() => {});
  }
}
