import type { Readable } from 'node:stream';
import type { Scrub } from '../reporting/scrub.ts';

const ordinaryLine = 8192;
const nothing: Scrub = Object.assign((text: string) => text, { longest: 0 });

type Options = {
  readonly scrub?: Scrub;
  /** Longer lines are cut into pieces of this many characters, so that a stream without newlines costs no memory. */
  readonly longestLine?: number;
};

/** Calls `onLine` for every line of a stream, scrubbed and without its newline; bytes that are not UTF-8 become U+FFFD. */
export function readLines(stream: Readable, onLine: (line: string) => void, { scrub = nothing, longestLine = ordinaryLine }: Options = {}): void {
  let rest = '';
  const say = (line: string) => {
    for (let at = 0; at === 0 || at < line.length; at += longestLine) onLine(line.slice(at, at + longestLine));
  };
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    // libuv reads a full pipe 32 times in a row (uv__read): 2 MB of lines before anything else gets its turn.
    stream.pause();
    setImmediate(() => stream.resume());
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) say(scrub(line));
    if (rest.length <= longestLine + scrub.longest) return;
    // A value may have begun in the last characters.
    const clean = scrub(rest);
    const cut = Math.floor((clean.length - scrub.longest) / longestLine) * longestLine;
    if (cut > 0) say(clean.slice(0, cut));
    rest = clean.slice(Math.max(cut, 0));
  });
  stream.on('end', () => {
    if (rest !== '') say(scrub(rest));
  });
  // A pipe that breaks with its process is told by the process's exit.
  stream.on('error', () => {});
}
