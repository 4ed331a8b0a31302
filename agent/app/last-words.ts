const longest = 200;
/** gunicorn's own lines: `[2026-01-01 00:00:00 +0000] [7] [ERROR] text` (gunicorn.glogging: Logger.error_fmt). */
const ownLine = /^\[[^\]]+\] \[\d+\] \[(?<level>[A-Z]+)\] (?<text>.*)/;

/**
 * The line of gunicorn's last output that tells best why it ended: the exception under the last traceback, else its own last error, else the last line.
 * Undefined when it said nothing.
 */
export function lastWords(tail: readonly string[]): string | undefined {
  const lines = tail.filter((line) => line.trim() !== '');
  const own = lines.map((line) => ownLine.exec(line)?.groups);
  const error = own.findLast((said) => said?.level === 'ERROR' || said?.level === 'CRITICAL');
  const found = exceptions(lines).at(-1) ?? error?.text ?? own.at(-1)?.text ?? lines.at(-1);
  return found !== undefined && found.length > longest ? `${found.slice(0, longest)}…` : found;
}

/** The line under the frames of each traceback, whose head may be out of what is left; not gunicorn's own by which it ends, which says less than what made it. */
function exceptions(lines: readonly string[]): readonly string[] {
  let isInFrames = false;
  return lines.filter((line) => {
    if (line.startsWith('  File "')) isInFrames = true;
    if (!isInFrames || /^\s/.test(line) || ownLine.test(line)) return false;
    isInFrames = false;
    return !line.startsWith('gunicorn.errors.HaltServer');
  });
}
