export type Report = {
  passed: number;
  failed: number;
  skipped: number;
  /** All that each failed test printed. */
  readonly failures: string[];
  /** `file: test: reason` of each that was skipped. */
  readonly skips: string[];
};

export const newReport = (): Report => ({ passed: 0, failed: 0, skipped: 0, failures: [], skips: [] });

const point = /^( {4})?(not )?ok \d+(?: - (.*?))?(?: # (?:SKIP|TODO)\b ?(.*?))?(?: # time=\S+)?$/i;

/**
 * Adds what `tap --reporter=tap` prints to `report`, line by line. Files stand at the margin, their tests one level (four spaces) in; assertions,
 * further in, are not counted. A file that fails without a failed test (it crashed, or ended early) counts as one.
 */
export function readTap(report: Report): (line: string) => void {
  let block: string[] = [];
  let blockEnd: 'open' | 'passed' | 'failed' = 'open';
  let skips: string[] = [];
  let failedInFile = 0;
  const endBlock = () => {
    if (blockEnd === 'failed') report.failures.push(block.join('\n'));
    [block, blockEnd] = [[], 'open'];
  };

  return (line) => {
    const [isPoint, indent, not, name = '', reason] = point.exec(line) ?? [];
    const isTest = isPoint !== undefined && indent !== undefined;
    // What a point failed with comes after it, so a block ends where the next begins.
    if (/^( {4})?(# Subtest: |1\.\.\d)|^# \{ total/.test(line) || (isTest && blockEnd !== 'open')) endBlock();
    block.push(line);
    if (isTest) {
      blockEnd = not === undefined ? 'passed' : 'failed';
      if (reason !== undefined) skips.push(`${name}: ${reason}`);
      else if (not === undefined) report.passed++;
      else failedInFile++;
    } else if (isPoint !== undefined) {
      if (not !== undefined && failedInFile === 0) {
        failedInFile = 1;
        blockEnd = 'failed';
      }
      report.failed += failedInFile;
      if (reason !== undefined) skips.push(reason);
      report.skipped += skips.length;
      report.skips.push(...skips.map((skip) => `${name}: ${skip}`));
      [skips, failedInFile] = [[], 0];
    }
  };
}
