// Loaded into an agent by NODE_OPTIONS: writes what its heap holds after a full collection, in bytes, one number a line, every PINION_BENCH_HEAP_MS.
import { appendFileSync } from 'node:fs';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const { PINION_BENCH_HEAP, PINION_BENCH_HEAP_MS } = process.env;
// V8 goes on compiling what runs often for as long as it runs: that is code, not what a program holds (a soak made 160 KB of it in its second half).
const isOfCode = /code|trusted/;
setInterval(() => {
  collect();
  const spaces = getHeapSpaceStatistics().filter(({ space_name }) => !isOfCode.test(space_name));
  const usedBytes = spaces.reduce((sum, { space_used_size }) => sum + space_used_size, 0);
  appendFileSync(`${PINION_BENCH_HEAP}.${process.pid}`, `${usedBytes}\n`);
}, Number(PINION_BENCH_HEAP_MS)).unref();
