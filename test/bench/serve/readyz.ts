import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { localPython } from '../../../local/moto.ts';
import { below, type Figure, quantile } from './figures.ts';
import { installLoad, loadBy, startLoad } from './load.ts';
import { machineTime } from './proc.ts';
import { type Agent, type Stage, start, stopProcess } from './stage.ts';

const client = fileURLToPath(new URL('ask.py', import.meta.url));
const requestsInAll = 2_000;
const pauseMs = 4;
/** Until every thread of gunicorn is busy. */
const loadLeadMs = 1_000;

type Answers = readonly (readonly [status: number, ms: number])[];

/**
 * `/readyz` while the app is saturated. On two processors the load generator, gunicorn and the agent compete for them: a bare `node:http` server that is
 * asked the same way in the same rounds tells what of a figure is the machine's.
 */
export async function readyz(stage: Stage, rounds: number): Promise<Figure[]> {
  installLoad();
  const agent = await stage.launch();
  const floor = await startFloor(stage);
  const perRound = Math.ceil(requestsInAll / rounds);
  const asked = [
    { name: 'agent', kind: 'fresh', port: agent.healthPort, answers: [] as number[] },
    { name: 'agent', kind: 'kept', port: agent.healthPort, answers: [] as number[] },
    { name: 'floor', kind: 'fresh', port: floor, answers: [] as number[] },
    { name: 'floor', kind: 'kept', port: floor, answers: [] as number[] },
  ];
  // Warm, and what there is without load.
  for (const { name, kind, port } of asked) console.log(`  no load   ${name} ${kind}: ${summary(await ask(port, kind, perRound))}`);
  for (let round = 0; round < rounds; round++) {
    const load = startLoad(`http://127.0.0.1:${agent.trafficPort}/`);
    await wait(loadLeadMs);
    const [before, servedBefore, beganAt] = [machineTime(), served(agent), performance.now()];
    for (const at of asked.keys()) {
      const one = asked[(at + round) % asked.length];
      one?.answers.push(...(await ask(one.port, one.kind, perRound)));
    }
    const [after, seconds] = [machineTime(), (performance.now() - beganAt) / 1000];
    await load.stop();
    const busy = ((after.busy - before.busy) / (after.total - before.total)) * 100;
    const rate = (served(agent) - servedBefore) / seconds;
    console.log(`  round ${round + 1}: ${rate.toFixed(0)} requests/s to the app by ${loadBy}, processors ${busy.toFixed(0)} % busy`);
  }
  await agent.stop();
  for (const { name, kind, answers } of asked) console.log(`  saturated ${name} ${kind}: ${summary(answers)}`);
  return asked.filter(({ name }) => name === 'agent').map(({ kind, answers }) => below(`readyz-p99-${kind}`, quantile(answers, 0.99), 'ms', 5));
}

const summary = (ms: readonly number[]) =>
  `${ms.length} requests, p50 ${quantile(ms, 0.5).toFixed(2)} ms, p99 ${quantile(ms, 0.99).toFixed(2)} ms, max ${Math.max(...ms).toFixed(2)} ms`;

/** The sample app logs a line for each request. */
const served = ({ logFile }: Agent): number => readFileSync(logFile, 'latin1').split('\n').length;

/** Milliseconds of each answer; throws when one was not 200. */
async function ask(port: number, kind: string, count: number): Promise<number[]> {
  const child = spawn(localPython, ['-I', client, String(port), '/readyz', kind, String(count), String(pauseMs)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const answers = (await json(child.stdout)) as Answers;
  const odd = answers.find(([status]) => status !== 200);
  if (odd !== undefined) throw new Error(`/readyz on port ${port} answered ${odd[0]}`);
  return answers.map(([, ms]) => ms);
}

async function startFloor(stage: Stage): Promise<number> {
  const program = `
    const body = JSON.stringify({ state: 'ready', release: 1, commit: '0123abc' });
    const server = require('node:http').createServer((_, response) =>
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body));
    server.listen(0, '127.0.0.1', () => console.log(server.address().port));`;
  const child = start([process.execPath, '-e', program], { stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env.PATH } });
  stage.undo(() => stopProcess(child));
  const [line] = await once(createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }), 'line');
  return Number(line);
}
