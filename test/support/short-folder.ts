import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** A temporary folder whose path leaves room for a unix socket (108 bytes, unix(7)), which `t.testdir()` does not; removed with the test. */
export function shortFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinion-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
