// `npm test`: every lane; `npm test -- PART…`: the test files whose path contains one of the parts.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { localPython } from '../local/moto.ts';
import { coveredLines } from './support/coverage.ts';
import { newReport, type Report, readTap } from './support/tap-report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
type Lane = () => Promise<Report & { readonly note?: string }>;

const running = new Set<ChildProcess>();
for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) {
  process.on(signal, () => {
    for (const child of running) child.kill('SIGTERM');
    process.exit(128 + number);
  });
}

async function output(command: string, args: readonly string[], onLine: (line: string) => void, folder = root): Promise<number | null> {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine);
  const [code] = await once(child, 'close');
  running.delete(child);
  return code;
}

/** A program that passes or fails as one test. */
const single =
  (command: string, ...args: string[]): Lane =>
  async () => {
    const lines: string[] = [];
    const code = await output(command, args, (line) => lines.push(line));
    return code === 0 ? { ...newReport(), passed: 1 } : { ...newReport(), failed: 1, failures: [lines.join('\n')] };
  };

const pytest: Lane = async () => {
  const lines: string[] = [];
  const code = await output(localPython, ['-m', 'pytest', '-q', '-rs', '-p', 'no:cacheprovider'], (line) => lines.push(line), `${root}flask-app`);
  const count = (word: string) => Number(new RegExp(`(\\d+) ${word}`).exec(lines.at(-1) ?? '')?.[1] ?? 0);
  const [passed, failed, skipped] = [count('passed'), count('failed') + count('error'), count('skipped')];
  const skips = lines.filter((line) => line.startsWith('SKIPPED'));
  return { passed, skipped, skips, failed: code === 0 ? failed : Math.max(1, failed), failures: code === 0 ? [] : [lines.join('\n')] };
};

/** tap's own coverage is off: support/coverage.ts says why. */
const tap =
  (files: readonly string[], coverage?: string): Lane =>
  async () => {
    const report = newReport();
    const read = readTap(report);
    const tail: string[] = [];
    const collect = new URL('support/coverage.ts', import.meta.url).href;
    const options = coverage === undefined ? [] : [`--node-arg=--import=${collect}?into=${encodeURIComponent(coverage)}`];
    const code = await output('tap', ['--disable-coverage', '--reporter=tap', ...options, ...files], (line) => {
      read(line);
      if (tail.push(line) > 30) tail.shift();
    });
    if (code !== 0 && report.failed === 0) Object.assign(report, { failed: 1, failures: [tail.join('\n')] });
    return coverage === undefined ? report : { ...report, note: coverageNote(coverage) };
  };

function coverageNote(folder: string): string {
  const { covered, all } = coveredLines(folder);
  rmSync(folder, { recursive: true, force: true });
  return `${((100 * covered) / all).toFixed(1)} % of ${all} lines of code ran in the tests' own processes (agents and commands that they start are not counted)`;
}

const wanted = process.argv.slice(2);
const files = globSync('test/**/*.test.ts', { cwd: root, exclude: ['test/fixtures/**'] })
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();
// Tests with deadlines get the machine for themselves: the other lanes come first, side by side.
const lanes: Record<string, Lane>[] =
  wanted.length > 0
    ? [{ tests: tap(files) }]
    : [
        {
          types: single('tsc', '--pretty', 'false'),
          lint: single('biome', 'ci', '--colors=off'),
          ...(existsSync(`${root}flask-app/tests`) && { 'flask-app': pytest }),
        },
        { tests: tap([], mkdtempSync(join(tmpdir(), 'pinion-coverage-'))) },
      ];
if (files.length === 0) {
  process.stderr.write(`no test file's path contains ${wanted.join(' or ')}\n`);
  process.exit(1);
}

const total = newReport();
for (const group of lanes) {
  await Promise.all(
    Object.entries(group).map(async ([name, lane]) => {
      const startedAt = performance.now();
      const { passed, failed, skipped, failures, skips, note } = await lane();
      total.passed += passed;
      total.failed += failed;
      total.skipped += skipped;
      for (const failure of failures) process.stdout.write(`\n${name}:\n${failure}\n\n`);
      for (const skip of skips) process.stdout.write(`skipped: ${skip}\n`);
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      process.stdout.write(`${failed === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(9)} ${passed} passed, ${failed} failed, ${skipped} skipped in ${seconds} s\n`);
      if (note !== undefined) process.stdout.write(`       ${note}\n`);
    }),
  );
}
process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
