import { run } from './run.ts';

/** Commit of the sources: what the build service resolved, else git's, `-dirty` when the app's folder has changes; `unknown` outside git. */
export async function sourceCommit(appDir: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const resolved = env.CODEBUILD_RESOLVED_SOURCE_VERSION;
  if (resolved) return resolved.slice(0, 256);
  const git = (...argv: string[]) => run('git', argv, { env, cwd: appDir, signal });
  const head = await git('rev-parse', '--verify', 'HEAD');
  if (head.exit !== 0) return 'unknown';
  const status = await git('status', '--porcelain', '--', '.');
  return head.stdout.trim() + (status.exit === 0 && status.stdout === '' ? '' : '-dirty');
}
