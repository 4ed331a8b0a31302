import type { Output } from './output.ts';

/**
 * One JSON line on stdout for each run: `{"ok":true,"verb":…}` or `{"ok":false,"cause":…,"sentence":…,"next":…}`. Before it a rollout says what
 * happens, a line an event: `{"event":…}`.
 */
export function jsonOutput(stdout: NodeJS.WritableStream): Output {
  const line = (value: object) => void stdout.write(`${JSON.stringify(value)}\n`);
  return { progress: () => undefined, rollout: line, result: (result) => line({ ok: true, ...result }), failure: (report) => line({ ok: false, ...report }) };
}
