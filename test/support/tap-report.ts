export type Report = {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What the failed tests of one file printed. */
  readonly failures: readonly string[];
  /** `file: name: reason` of each that was skipped. */
  readonly skips: readonly string[];
};

export const emptyReport: Report = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };

export const addReports = (a: Report, b: Report): Report => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
  failures: [...a.failures, ...b.failures],
  skips: [...a.skips, ...b.skips],
});

const point = /^(not )?ok \d+(?: - (.*?))?(?: # (?:SKIP|TODO)\b ?(.*?))?(?: # time=\S+)?$/i;

/**
 * What a test file said on stdout, in TAP, and how it ended. Its tests stand at the margin; assertions, further in, are not counted.
 * A file that ends badly without a failed test (it crashed, or ended early) counts as one.
 */
export function readTap(file: string, stdout: string, stderr: string, end: number | string): Report {
  const points = pointsOf(stdout);
  const skips = points.flatMap(({ name, reason }) => (reason === undefined ? [] : [`${file}: ${name}: ${reason}`]));
  const failures = points.flatMap(({ isFailed, text }) => (isFailed ? [text] : []));
  const passed = points.length - skips.length - failures.length;
  if (failures.length === 0 && end !== 0) failures.push(stdout.split('\n').slice(-30).join('\n'));
  const shown = failures.length === 0 ? [] : [[`${file} ended with ${end}`, ...failures, stderr.trim()].join('\n').trim()];
  return { passed, failed: failures.length, skipped: skips.length, failures: shown, skips };
}

type Block = { readonly lines: string[]; point?: { readonly isFailed: boolean; readonly name: string; readonly reason: string | undefined } };

/** One block for each point at the margin: from its `# Subtest:` to its diagnostics, which follow it. */
function pointsOf(stdout: string) {
  const blocks: Block[] = [];
  for (const line of stdout.split('\n')) {
    const [isPoint, not, name = '', reason] = point.exec(line) ?? [];
    let block = blocks.at(-1);
    if (block === undefined || /^(# |1\.\.\d)/.test(line) || (isPoint !== undefined && block.point !== undefined)) {
      block = { lines: [] };
      blocks.push(block);
    }
    block.lines.push(line);
    if (isPoint !== undefined) block.point = { isFailed: not !== undefined, name, reason: not === undefined ? reason : undefined };
  }
  return blocks.flatMap(({ lines, point }) => (point === undefined ? [] : [{ ...point, text: lines.join('\n').trim() }]));
}
