import { Failure } from '../../contract/causes.ts';
import { run } from './run.ts';

/**
 * Those of the absolute `paths` that git ignores in the repository that `folder` is in; none outside of a repository or without git. What is
 * tracked is not ignored, whatever pattern it matches. Throws GIT_FAILED when git is there and does not answer: then nobody knows what is private.
 */
export async function ignoredByGit(folder: string, paths: readonly string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const options = { env: { ...env, LC_ALL: 'C' }, cwd: folder, signal, input: paths.join('\0') };
  const { exit, stdout, stderr } = await run('git', ['check-ignore', '-z', '--stdin'], options);
  // 1: it ignores none of them.
  if (exit === 0 || exit === 1) return new Set(stdout.split('\0'));
  if (exit === 'ENOENT' || stderr.startsWith('fatal: not a git repository')) return new Set();
  throw new Failure('GIT_FAILED', { folder, detail: stderr.split('\n')[0]?.replace(/^fatal: /, '') || `git ended with ${exit}` });
}
