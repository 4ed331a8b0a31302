import type { Readable } from 'node:stream';

/** Longer lines are cut into pieces of this many characters, so that a stream without newlines costs no memory. */
const longestLine = 8192;

/** Calls `onLine` for every line of a stream, without its newline; bytes that are not UTF-8 become U+FFFD. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    for (; rest.length > longestLine; rest = rest.slice(longestLine)) onLine(rest.slice(0, longestLine));
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
  // A pipe that breaks with its process is told by the process's exit.
  stream.on('error', () => {});
}
