import { accessSync, constants, readFileSync } from 'node:fs';
import { Failure } from '../../contract/causes.ts';
import { createScrub, type Scrub } from '../reporting/scrub.ts';
import { parseEnvironmentFile } from './environment.ts';

/** The variables that a boot wrote for the app. Throws TREE_MISSING when they are gone, STATE_UNWRITABLE or APP_SPAWN_FAILED when they cannot be read. */
export function readEnvironment(path: string): Map<string, string> {
  try {
    return parseEnvironmentFile(readFileSync(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    // Only a boot writes it.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw new Failure('TREE_MISSING', { path }, { cause });
    throw recordFailure(path, cause as NodeJS.ErrnoException);
  }
}

/** What replaces the values of these names in the app's output. */
export const scrubOf = (environment: ReadonlyMap<string, string>, configNames: readonly string[]): Scrub =>
  createScrub(new Map([...environment].filter(([name]) => configNames.includes(name))));

/** What a full disk or a full table of files makes of a start passes when there is room again. */
export function recordFailure(path: string, cause: NodeJS.ErrnoException): Failure {
  const { code: detail = String(cause) } = cause;
  if (!['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE'].includes(detail)) return new Failure('STATE_UNWRITABLE', { path, detail }, { cause });
  return new Failure('APP_SPAWN_FAILED', { detail: `${path} ${detail}` }, { cause });
}

/** Throws INTERPRETER_MISSING. */
export function requireInterpreter(interpreter: string): void {
  try {
    accessSync(interpreter, constants.X_OK);
  } catch (error) {
    throw new Failure('INTERPRETER_MISSING', { interpreter, detail: (error as NodeJS.ErrnoException).code ?? String(error) }, { cause: error });
  }
}
