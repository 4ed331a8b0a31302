import { setTimeout as wait } from 'node:timers/promises';
import { atMost, below, type Figure, mebibytes, median } from './figures.ts';
import { cpuMsOf, memoryOf } from './proc.ts';
import { sent } from './sent-metrics.ts';
import { type Stage, start, stopProcess } from './stage.ts';

/** Longer than a period of the metrics, so that the first request to CloudWatch, which loads its client, falls into it. */
const idleMs = 75_000;

/**
 * An agent that serves an idle app with the limits of a host, beside `node` that does nothing. `pairs` of them idle at once: what is idle takes nothing
 * from its neighbour, and one after the other would take as many minutes.
 */
export async function idle(stage: Stage, pairs: number): Promise<Figure[]> {
  // An image has its compile cache; here the first agent fills it, also with the client of its last metrics.
  await (await stage.launch()).stop();
  const agents = [];
  const bare = [];
  for (let pair = 1; pair <= pairs; pair++) {
    const child = start([process.execPath, '-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore', env: { PATH: process.env.PATH } });
    stage.undo(() => stopProcess(child));
    bare.push(child);
    agents.push(await stage.launch());
  }
  const before = agents.map(({ pid }) => cpuMsOf(pid));
  await wait(idleMs);
  const cpuPercent = agents.map(({ pid }, at) => ((cpuMsOf(pid) - (before[at] ?? 0)) / idleMs) * 100);
  const ofAgents = agents.map(({ pid }) => memoryOf(pid));
  const ofBare = bare.map(({ pid }) => memoryOf(pid as number));
  const flushes = await sent(stage, 'AgentMemory');
  if (flushes < pairs) throw new Error(`${flushes} requests came to CloudWatch of ${pairs} agents`);
  await Promise.all([...agents.map((agent) => agent.stop()), ...bare.map(stopProcess)]);

  for (const [at, agent] of ofAgents.entries()) {
    const node = ofBare[at] ?? agent;
    const beside = (kind: keyof typeof agent) => `${mebibytes(agent[kind])} / ${mebibytes(node[kind])}`;
    console.log(
      `  pair ${at + 1}, agent / bare node: alone ${beside('alone')}, pss ${beside('pss')}, rss ${beside('rss')}; cpu ${cpuPercent[at]?.toFixed(2)} %`,
    );
  }
  const ratio = (kind: 'alone' | 'rss' | 'pss') => median(ofAgents.map((memory) => memory[kind])) / median(ofBare.map((memory) => memory[kind]));
  console.log(
    `  ${flushes} requests to CloudWatch in ${idleMs / 1000} s; by pss as shared here ${ratio('pss').toFixed(2)} x, by rss ${ratio('rss').toFixed(2)} x`,
  );
  return [atMost('idle-pss-alone', ratio('alone'), 'x bare node', 1.6), below('idle-cpu', median(cpuPercent), '%', 0.5)];
}
