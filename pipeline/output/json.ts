import type { Output } from './output.ts';

/** One JSON line on stdout for each run: `{"ok":true,"verb":…}` or `{"ok":false,"cause":…,"sentence":…,"next":…}`. */
export function jsonOutput(stdout: NodeJS.WritableStream): Output {
  const line = (value: object) => void stdout.write(`${JSON.stringify(value)}\n`);
  return { progress: () => undefined, result: (result) => line({ ok: true, ...result }), failure: (report) => line({ ok: false, ...report }) };
}
