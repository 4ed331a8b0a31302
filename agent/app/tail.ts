const tailLines = 40;

/** The last lines of an app's output. */
export type Tail = { add(line: string): void; clear(): void; lines(): readonly string[] };

export function createTail(): Tail {
  const lines: string[] = [];
  return {
    add(line) {
      if (lines.push(line) > tailLines) lines.shift();
    },
    clear() {
      lines.length = 0;
    },
    lines: () => lines,
  };
}
