import type { Command } from 'commander';
import { Failure } from '../../contract/causes.ts';
import { slug } from '../../contract/names.ts';
import type { Output } from '../output/output.ts';

/** What a verb has of the program it belongs to. */
export type Cli = {
  readonly output: Output;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
};

/** `--app-dir` of the program a verb belongs to, absolute. */
export const appDirOf = (verb: Command): string => verb.optsWithGlobals<{ appDir: string }>().appDir;

/** `--env` of the program a verb belongs to. Throws ENV_MISSING, USAGE. */
export function envOf(verb: Command): string {
  const { env } = verb.optsWithGlobals<{ env?: string }>();
  if (env === undefined || env === '') throw new Failure('ENV_MISSING', {});
  if (!new RegExp(slug.pattern).test(env)) throw new Failure('USAGE', { detail: 'an environment is named by up to 32 lower-case letters, digits and hyphens' });
  return env;
}

/** The example at the end of a verb's help. */
export const example = (...lines: readonly string[]): string => `\nExample:\n${lines.map((line) => `  ${line}`).join('\n')}`;
