import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Test } from 'tap';

/**
 * Whether `tool` is on PATH. If not, the test is skipped by name with the command that installs it; with CI=true it fails instead.
 * Use: `if (!needsTool(t, 'zstd', 'apt-get install zstd')) return;`
 */
export function needsTool(t: Pick<Test, 'plan' | 'fail'>, tool: string, install: string): boolean {
  if (isOnPath(tool)) return true;
  const missing = `${tool} is missing: ${install}`;
  if (process.env.CI === 'true') t.fail(missing);
  else t.plan(0, missing);
  return false;
}

function isOnPath(tool: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
