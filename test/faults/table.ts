import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runFiles } from '../support/run-files.ts';
import { documentedFaults, faultsOf, type Result, resultOf } from './faults.ts';

/** `npm run faults [-- ID…]`: runs every test that carries a fault id and prints a line for each fault. Exit status 1 unless all held. */
const root = fileURLToPath(new URL('../..', import.meta.url));
const wanted = new Set(process.argv.slice(2));
const isWanted = (id: string) => wanted.size === 0 || wanted.has(id);
const wrongs = documentedFaults(readFileSync(`${root}docs/faults.md`, 'utf8'));
const tests = globSync('test/**/*.test.ts', { cwd: root }).map((file) => ({ file, ids: faultsOf(readFileSync(`${root}${file}`, 'utf8')).filter(isWanted) }));
const tested = new Set(tests.flatMap(({ ids }) => ids));
const results = new Map<string, Result[]>([...wrongs.keys(), ...wanted, ...tested].filter(isWanted).map((id) => [id, []]));
const files = tests.flatMap(({ file, ids }) => (ids.length > 0 ? [file] : []));
await runFiles(files, [], (_, { stdout }) => {
  for (const line of stdout.split('\n')) {
    const point = resultOf(line);
    if (point?.result === 'FAILED') process.stdout.write(`${line.trim()}\n`);
    for (const id of point?.ids.filter(isWanted) ?? []) results.get(id)?.push(point?.result ?? 'FAILED');
  }
});

let failed = 0;
for (const [id, found] of [...results].sort(([a], [b]) => (a < b ? -1 : 1))) {
  const worst = (['FAILED', 'skipped', 'passed'] as const).find((result) => found.includes(result)) ?? (tested.has(id) ? 'NOT RUN' : 'NO TEST');
  if (worst !== 'passed' && worst !== 'skipped') failed++;
  process.stdout.write(`${id}  ${worst.padEnd(7)}  ${String(found.length).padStart(2)} ${found.length === 1 ? 'test ' : 'tests'}  ${wrongs.get(id) ?? ''}\n`);
}
process.stdout.write(`${results.size - failed} of ${results.size} faults hold\n`);
process.exitCode = failed === 0 ? 0 : 1;
