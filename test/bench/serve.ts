/**
 * What serving costs and how well it is kept up: `npm run bench:serve [-- idle|readyz|restart|soak …]`, all four without a name, in about seven minutes.
 * Prints what it saw, and last one JSON line a figure with its goal. Exit status 0 also when a goal is missed, 1 when something could not be measured.
 */
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type { Figure } from './serve/figures.ts';
import { idle } from './serve/idle.ts';
import { readyz } from './serve/readyz.ts';
import { restart } from './serve/restart.ts';
import { soak } from './serve/soak.ts';
import { type Stage, setStage } from './serve/stage.ts';

const measurements = {
  idle: { rounds: 5, says: 'an idle agent beside a bare node', measure: idle },
  readyz: { rounds: 5, says: '/readyz while the app is saturated', measure: readyz },
  restart: { rounds: 11, says: 'gunicorn killed until a new one answers', measure: restart },
  soak: { rounds: 1, says: "thirty minutes' worth of events", measure: soak },
} satisfies Record<string, { rounds: number; says: string; measure: (stage: Stage, rounds: number) => Promise<Figure[]> }>;
type Name = keyof typeof measurements;

const { values, positionals } = parseArgs({ options: { rounds: { type: 'string' } }, allowPositionals: true });
const names = (positionals.length > 0 ? positionals : Object.keys(measurements)) as Name[];
const unknown = names.find((name) => !Object.hasOwn(measurements, name));
if (unknown !== undefined) {
  console.error(`${unknown} is not one of ${Object.keys(measurements).join(', ')}`);
  process.exit(2);
}

const machine = () =>
  `${availableParallelism()} processors, load average ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')}`;
const figures: Figure[] = [];
let stage: Stage | undefined;
console.log(machine());
try {
  stage = await setStage();
  for (const name of names) {
    const { says, measure, rounds } = measurements[name];
    console.log(`${name}: ${says}`);
    figures.push(...(await measure(stage, Number(values.rounds ?? rounds))));
  }
} catch (thrown) {
  console.error(thrown);
  process.exitCode = 1;
}
await stage?.close();
console.log(machine());
const rounded = (number: number) => Number(number.toPrecision(3));
for (const { figure, value, unit, goal, isMet } of figures) {
  console.log(JSON.stringify({ figure, value: rounded(value), unit, goal: rounded(goal), result: isMet ? 'met' : 'missed' }));
}
process.exit();
