import { run } from './run.ts';

/** Commit of the sources: the one that the build service resolved, else git's, `-dirty` when the app's folder has changes; `unknown` outside git. */
export async function sourceCommit(appDir: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  // For a source in S3 it is a version of the object.
  const resolved = env.CODEBUILD_RESOLVED_SOURCE_VERSION?.trim();
  if (resolved !== undefined && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(resolved)) return resolved;
  const git = (...argv: string[]) => run('git', argv, { env, cwd: appDir, signal });
  const head = await git('rev-parse', '--verify', 'HEAD');
  if (head.exit !== 0) return 'unknown';
  const status = await git('status', '--porcelain', '--', '.');
  return head.stdout.trim() + (status.exit === 0 && status.stdout === '' ? '' : '-dirty');
}
