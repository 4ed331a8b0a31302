// Loaded into a test's process by `--import coverage.ts?into=FOLDER`: writes there which parts of pinion's sources never ran.
// Not by NODE_V8_COVERAGE: Node hands that on to every child, where it changes environments and memory that tests measure.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

type Range = { readonly startOffset: number; readonly endOffset: number; readonly count: number };
type Script = { readonly url: string; readonly functions: readonly { readonly ranges: readonly Range[] }[] };

const sources = new RegExp(`^${new URL('../..', import.meta.url).href}(agent|contract|local|pipeline)/.*\\.ts$`);
const into = new URL(import.meta.url).searchParams.get('into');
if (into !== null) collect(into);

function collect(folder: string): void {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  process.on('exit', () => {
    session.post('Profiler.takePreciseCoverage', (_, { result }: { result: readonly Script[] }) => {
      const ran = result.filter(({ url }) => sources.test(url)).map(({ url, functions }) => [fileURLToPath(url), functions.flatMap(({ ranges }) => ranges)]);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${process.pid}.json`), JSON.stringify(ran));
    });
  });
}

/** Lines of code that ran in at least one of the processes that wrote into `folder`, of all in the sources they loaded. */
export function coveredLines(folder: string): { readonly covered: number; readonly all: number } {
  const ranBytes = new Map<string, Uint8Array>();
  for (const name of readdirSync(folder)) {
    for (const [file, ranges] of JSON.parse(readFileSync(join(folder, name), 'utf8')) as [string, Range[]][]) {
      const ran = paint(ranges);
      const before = ranBytes.get(file);
      ranBytes.set(file, before === undefined ? ran : before.map((byte, at) => byte | (ran[at] ?? 0)));
    }
  }
  const lines = [...ranBytes].flatMap(([file, ran]) => codeLines(readFileSync(file, 'utf8')).map((offset) => ran[offset] === 1));
  return { covered: lines.filter(Boolean).length, all: lines.length };
}

/** V8 lists a range before those inside it. */
function paint(ranges: readonly Range[]): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, ...ranges.map(({ endOffset }) => endOffset)));
  for (const { startOffset, endOffset, count } of ranges.toSorted((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)) {
    bytes.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  }
  return bytes;
}

/** Offset of the first character of every line that is neither blank, comment, nor brackets alone. */
function codeLines(text: string): number[] {
  const withoutComments = text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/^\s*\/\/.*$/gm, (line) => ' '.repeat(line.length));
  return [...withoutComments.matchAll(/^[\t ]*(?=[^\s)}\];,])/gm)].map(({ index, 0: indent }) => index + indent.length);
}
