import { rmSync, writeSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { readLines } from '../../agent/app/lines.ts';
import { createLog } from '../../agent/reporting/log.ts';
import { openOutput } from '../../agent/reporting/output.ts';
import { createScrub } from '../../agent/reporting/scrub.ts';
import { peakMemoryMb } from './peak-memory.ts';

/** What the program below says of itself on descriptor 3. */
export type Said = { lines: number; lost: number; consoleLost: number; ms: number; endMs: number; longestDelayMs: number; peakMb: number };

/** A program of its own for tests: says lines to whatever is its stdout and stderr. `burst N`, `relay` (what comes on stdin), `refill FILE` (until lines are lost; then removes FILE). */
const [mode, argument = ''] = process.argv.slice(2);
const [out, err] = [openOutput(1), openOutput(2)];
const log = createLog(out);
const delay = monitorEventLoopDelay({ resolution: 5 });
let lines = 0;
const say = (line: string) => {
  lines++;
  log({ event: 'app-output', app: 'shop', line });
};

delay.enable();
const begin = performance.now();
if (mode === 'burst') {
  for (let left = Number(argument); left > 0; left--) {
    say(`line ${left}`.padEnd(100, '.'));
    err.write(`line ${left}\n`);
  }
} else if (mode === 'relay') {
  const config = new Map(Array.from({ length: 10 }, (_, at) => [`SECRET_${at}`, `hunter${at}-of-some-length/${at}`] as const));
  await new Promise<void>((resolve) => {
    process.stdin.on('close', resolve);
    readLines(process.stdin, say, { scrub: createScrub(config) });
  });
} else {
  while (out.lost() < 100) say('x'.repeat(1000));
  rmSync(argument);
  await out.end(10_000);
  say('room again');
}
const ms = performance.now() - begin;
await Promise.all([out.end(300), err.end(300)]);
const endMs = performance.now() - begin - ms;
const facts: Said = { lines, lost: out.lost(), consoleLost: err.lost(), ms, endMs, longestDelayMs: delay.max / 1e6, peakMb: peakMemoryMb() };
writeSync(3, JSON.stringify(facts));
process.exit(0);
