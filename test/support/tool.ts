import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Test } from 'tap';

/**
 * Whether `tool` is on PATH. If not, the test is skipped by name with the command that installs it; with CI=true it fails instead.
 * Use: `if (!needsTool(t, 'zstd', 'apt-get install zstd')) return;`
 */
export function needsTool(t: Skippable, tool: string, install: string): boolean {
  return isOnPath(tool) || skip(t, `${tool} is missing: ${install}`);
}

/** The same for a mount namespace of the test's own, by `unshare -rm`. */
export function needsNamespaces(t: Skippable): boolean {
  const isThere = spawnSync('unshare', ['-rm', 'true']).status === 0;
  return isThere || skip(t, 'user namespaces are off: sysctl -w kernel.unprivileged_userns_clone=1; unshare is in apt-get install util-linux');
}

type Skippable = Pick<Test, 'plan' | 'fail'>;

function skip(t: Skippable, missing: string): false {
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
