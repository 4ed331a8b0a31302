import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { sourceCommit } from '../../../pipeline/artifact/commit.ts';
import { temporaryFolder } from '../../support/pipeline-app.ts';

t.test("what the build service resolved, else git's commit with -dirty, else unknown", async (t) => {
  const folder = temporaryFolder(t);
  const appDir = join(folder, 'app');
  mkdirSync(appDir);
  writeFileSync(join(appDir, 'shop.py'), '');
  const env = { PATH: process.env.PATH, HOME: folder };
  const commit = (more = {}) => sourceCommit(appDir, { ...env, ...more }, new AbortController().signal);
  const git = (...argv: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...argv], { cwd: folder, env, encoding: 'utf8', stdio: 'pipe' });

  t.equal(await commit({ GIT_CEILING_DIRECTORIES: folder }), 'unknown', 'outside git');
  t.equal(await commit({ PATH: '/nowhere' }), 'unknown', 'without git');
  git('init', '-q');
  t.equal(await commit(), 'unknown', 'no commit yet');
  git('add', '.');
  git('commit', '-qm', 'first');
  const head = git('rev-parse', 'HEAD').trim();
  t.equal(await commit(), head);
  writeFileSync(join(folder, 'elsewhere'), '');
  t.equal(await commit(), head, "only the app's folder counts");
  writeFileSync(join(appDir, 'new.py'), '');
  t.equal(await commit(), `${head}-dirty`);
  const resolved = 'ab'.repeat(20);
  t.equal(await commit({ CODEBUILD_RESOLVED_SOURCE_VERSION: `${resolved}\n` }), resolved);
  for (const other of ['', 'main', `${resolved} x`, 'eQx.JzVzPq9jUn'])
    t.equal(await commit({ CODEBUILD_RESOLVED_SOURCE_VERSION: other }), `${head}-dirty`, other);
});
