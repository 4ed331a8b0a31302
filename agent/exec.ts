import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type CauseReport, causeLine, Failure } from '../contract/causes.ts';
import { parseEnvironmentFile } from './app/environment.ts';
import { environmentName } from './app/gunicorn.ts';
import { startBoot } from './boot/child.ts';
import type { Settings } from './settings.ts';

/** The boot failed, and its cause is on stderr: the command's own statuses are below that. */
const notBooted = 125;

/**
 * Boots the release that the user data names and runs one command in it: its tree, its config, its Python first in PATH, nothing of the caller's
 * environment. Resolves with the command's exit status, 128 and the signal's number, or 125 where the release cannot be booted. Throws USAGE for a
 * command that is not there.
 */
export async function exec(
  userDataFile: string,
  command: readonly string[],
  { stateFolder, runtimeFolder, limits }: Settings,
  stop: AbortSignal,
): Promise<number> {
  const boot = startBoot(userDataFile, limits);
  const booted = new Promise<CauseReport | undefined>((resolve) => {
    stop.addEventListener('abort', () => resolve(new Failure('INTERRUPTED', {}).report));
    boot.listen({ onEvent: () => {}, onLine: (line) => process.stderr.write(`${line}\n`), onLaunch: () => resolve(undefined), onFailure: resolve });
  });
  const report = await booted;
  if (report !== undefined) {
    await boot.stop();
    process.stderr.write(`${causeLine(report)}\n`);
    return notBooted;
  }
  const tree = join(stateFolder, 'current');
  const variables = parseEnvironmentFile(readFileSync(join(runtimeFolder, environmentName), 'utf8'));
  const env = { ...Object.fromEntries(variables), PATH: `${tree}/bin:${variables.get('PATH') ?? ''}` };
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd: join(tree, 'app'), env, stdio: 'inherit' });
  stop.addEventListener('abort', () => child.kill('SIGTERM'));
  try {
    const [code, signal] = await once(child, 'close');
    return code ?? 128 + constants.signals[signal as NodeJS.Signals];
  } catch (thrown) {
    throw new Failure('USAGE', { detail: `${program} cannot be run in the release: ${(thrown as NodeJS.ErrnoException).code}` }, { cause: thrown });
  }
}
