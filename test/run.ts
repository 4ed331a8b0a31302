// `npm test`: the lanes that a person waits for, and with CI set every lane; `npm test -- PART…`: the test files whose path contains one of the parts.
import { existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { haproxyProblem } from '../local/load-balancer/load-balancer.ts';
import { localPython } from '../local/moto.ts';
import { cases } from '../local/rehearsal/cases.ts';
import { terraformCases } from '../local/rehearsal/terraform-cases.ts';
import { terraformProblem } from '../local/terraform.ts';
import { imageVariable } from './image/guest/image.ts';
import { missingForGuests } from './image/guest/missing.ts';
import { coveredLines } from './support/coverage.ts';
import { run, runFiles } from './support/run-files.ts';
import { addReports, emptyReport, type Report, readTap } from './support/tap-report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

type Lane = () => Promise<Report & { readonly note?: string }>;

/** A program that passes or fails as one test. */
const single =
  (command: string, ...args: string[]): Lane =>
  async () => {
    const { stdout, stderr, end } = await run(command, args);
    return end === 0 ? { ...emptyReport, passed: 1 } : { ...emptyReport, failed: 1, failures: [`${stdout}${stderr}`] };
  };

const pytest: Lane = async () => {
  const { stdout, stderr, end } = await run(localPython, ['-m', 'pytest', '-q', '-rs', '-p', 'no:cacheprovider'], join(root, 'flask-app'));
  const lines = stdout.trim().split('\n');
  const count = (word: string) => Number(new RegExp(`(\\d+) ${word}`).exec(lines.at(-1) ?? '')?.[1] ?? 0);
  const failed = end === 0 ? 0 : Math.max(1, count('failed') + count('error'));
  const skips = lines.filter((line) => line.startsWith('SKIPPED'));
  return { passed: count('passed'), failed, skipped: count('skipped'), skips, failures: failed === 0 ? [] : [`${stdout}${stderr}`] };
};

const tap =
  (files: readonly string[], nodeArgs: readonly string[] = [], atOnce?: number): Lane =>
  async () => {
    let report = emptyReport;
    const times: (readonly [file: string, seconds: number])[] = [];
    const onEnd: Parameters<typeof runFiles>[2] = (file, { stdout, stderr, end, seconds }) => {
      report = addReports(report, readTap(file, stdout, stderr, end));
      times.push([file, seconds]);
    };
    await runFiles(files, nodeArgs, onEnd, atOnce);
    const slowest = times.toSorted(([, a], [, b]) => b - a).slice(0, 12);
    return {
      ...report,
      note: `slowest: ${slowest.map(([file, seconds]) => `${file.replace(/^test\/|\.test\.ts$/g, '')} ${seconds.toFixed(0)} s`).join(', ')}`,
    };
  };

const withCoverage =
  (files: readonly string[]): Lane =>
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pinion-coverage-'));
    try {
      const hook = new URL(`support/coverage.ts?into=${encodeURIComponent(folder)}`, import.meta.url).href;
      const report = await tap(files, [`--import=${hook}`])();
      const { covered, all } = coveredLines(folder);
      const percent = ((100 * covered) / all).toFixed(1);
      return {
        ...report,
        note: `${report.note}; ${percent} % of ${all} lines of code ran inside the tests (agents and commands that they start are not counted)`,
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

/** Debian's archive, the packages and the bake itself, the very first time. */
const bakeSeconds = 900;

/** The image is baked once, before its tests; where guests cannot be booted each of them says what is missing. */
const withImage =
  (files: readonly string[]): Lane =>
  async () => {
    if (missingForGuests() === undefined) {
      const { stdout, stderr, end } = await run(process.execPath, ['test/image/guest/bake.ts'], root, bakeSeconds);
      if (end !== 0) return { ...emptyReport, failed: 1, failures: [`the image was not baked (${end}): ${stdout}${stderr}`] };
      process.env[imageVariable] = stdout.trim();
    }
    return tap(files)();
  };

/** Each case of a rehearsal as a test; a request that failed is one more. */
const rehearsal =
  (cases: number, ...args: string[]): Lane =>
  async () => {
    const { stdout, stderr, end } = await run(process.execPath, ['local/rehearsal/rehearse.ts', ...args], root, rehearsalSeconds);
    const [, held = 0, requests = 0, lost = 0] = /rehearsal: (\d+) cases hold, (\d+) requests, (\d+) failed/.exec(stdout)?.map(Number) ?? [];
    const failed = cases - held + (lost > 0 ? 1 : 0);
    const note = `${requests} requests, ${lost} failed`;
    return { ...emptyReport, passed: held, failed: end === 0 ? 0 : Math.max(1, failed), failures: end === 0 ? [] : [`${stdout}${stderr}`], note };
  };
const rehearsalSeconds = 900;

const wanted = process.argv.slice(2);
const files = globSync('test/**/*.test.ts', { cwd: root, exclude: ['test/fixtures/**'] })
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  process.stderr.write(`no test file's path contains ${wanted.join(' or ')}\n`);
  process.exit(1);
}
const lanes = ['image', 'terraform'] as const;
const of = (lane: (typeof lanes)[number]) => files.filter((file) => file.startsWith(`test/${lane}/`));
const [imageFiles, terraformFiles] = [of('image'), of('terraform')];
const otherFiles = files.filter((file) => !imageFiles.includes(file) && !terraformFiles.includes(file));
const image = imageFiles.length > 0 && { image: withImage(imageFiles) };
// The provider waits for most of its time: a minute for each bucket's lifecycle rules alone.
const terraform = tap(terraformFiles, [], 4);
// Tests with deadlines get the machine for themselves: the other lanes come first, side by side.
const groups: readonly Record<string, Lane>[] =
  wanted.length > 0
    ? [{ ...(otherFiles.length > 0 && { tests: tap(otherFiles) }) }, { ...(terraformFiles.length > 0 && { terraform }) }, { ...image }]
    : [
        {
          types: single('tsc', '--pretty', 'false'),
          lint: single('biome', 'ci', '--colors=off'),
          ...(existsSync(join(root, 'flask-app/tests')) && { 'flask-app': pytest }),
        },
        { tests: withCoverage(otherFiles) },
        { ...image },
        // Minutes of load: for a machine that has them. Terraform's by `npm test -- terraform`, the others by `npm run rehearse`, with and without --terraform.
        { ...(process.env.CI && { terraform }) },
        { ...(process.env.CI && haproxyProblem() === undefined && { rehearsal: rehearsal(cases.length) }) },
        {
          ...(process.env.CI &&
            haproxyProblem() === undefined &&
            terraformProblem() === undefined && { 'rehearsal --terraform': rehearsal(terraformCases.length, '--terraform') }),
        },
      ];

let total = emptyReport;
for (const group of groups) {
  await Promise.all(
    Object.entries(group).map(async ([name, lane]) => {
      const startedAt = performance.now();
      const report = await lane();
      total = addReports(total, report);
      for (const failure of report.failures) process.stdout.write(`\n${failure.trim()}\n\n`);
      for (const skip of report.skips) process.stdout.write(`skipped: ${skip}\n`);
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      process.stdout.write(`${report.failed === 0 ? 'ok    ' : 'FAILED'} ${name}: ${counts(report)} in ${seconds} s\n`);
      if (report.note !== undefined) process.stdout.write(`       ${report.note}\n`);
    }),
  );
}
process.stdout.write(`${counts(total)}\n`);
process.exitCode = total.failed === 0 ? 0 : 1;

function counts({ passed, failed, skipped }: Report): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
