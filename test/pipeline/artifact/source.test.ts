import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { type AppFiles, appFiles } from '../../../pipeline/artifact/source.ts';
import { temporaryFolder } from '../../support/pipeline-app.ts';
import { failureOf } from '../../support/pipeline-cloud.ts';

function folderWith(t: { teardown(fn: () => unknown): unknown }, ...paths: readonly string[]): string {
  const folder = temporaryFolder(t);
  for (const path of paths) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), '');
  }
  return folder;
}
type Selected = Partial<Parameters<typeof appFiles>[1]>;
const appIn = (folder: string, selected: Selected, env: NodeJS.ProcessEnv = process.env): Promise<AppFiles> =>
  appFiles(folder, { include: ['**/*'], exclude: [], generated: [], ...selected }, env, new AbortController().signal);
const filesIn = async (folder: string, selected: Selected = {}) => [...(await appIn(folder, selected)).files].sort();
const git = (cwd: string, ...argv: string[]) => execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...argv], { cwd, stdio: 'pipe' });

t.test('all but what never belongs to an app', async (t) => {
  const folder = folderWith(
    t,
    'a.py',
    'pkg/b.py',
    'pkg/__pycache__/b.pyc',
    'c.pyc',
    '.env',
    '.git/config',
    'node_modules/x/y',
    'venv/pyvenv.cfg',
    'venv/lib/x.py',
    'static/app.css',
  );
  t.same(await filesIn(folder), ['a.py', 'pkg/b.py', 'static/app.css']);
});

t.test('a glob that matches a folder takes all below it, in include and in exclude', async (t) => {
  const folder = folderWith(t, 'hello/a.py', 'hello/deep/b.html', 'tests/t.py', 'c.py');
  t.same(await filesIn(folder, { include: ['hello'] }), ['hello/a.py', 'hello/deep/b.html']);
  t.same(await filesIn(folder, { include: ['hello/**/*', 'c.py'], exclude: ['hello/deep/'] }), ['c.py', 'hello/a.py']);
  t.same(await filesIn(folder, { exclude: ['tests', '**/*.html'] }), ['c.py', 'hello/a.py']);
});

t.test('F12: links are refused, unless they are left out', async (t) => {
  const folder = folderWith(t, 'a.py');
  symlinkSync('/etc/passwd', join(folder, 'link'));
  symlinkSync('/etc', join(folder, 'folder'));
  t.match((await failureOf('SOURCE_REFUSED', filesIn(folder))).message, /(link|folder) cannot go into an artifact: it is a link/);
  t.same(await filesIn(folder, { exclude: ['link', 'folder'] }), ['a.py']);
  t.same(await filesIn(folder, { include: ['*.py'] }), ['a.py']);
});

t.test('F14: what is neither a file nor a folder is refused', async (t) => {
  const folder = folderWith(t, 'a.py');
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  t.match((await failureOf('SOURCE_REFUSED', filesIn(folder))).message, /pipe .* neither a file nor a folder/);
});

t.test('F11: names that no artifact carries are refused', async (t) => {
  const latin1 = temporaryFolder(t);
  writeFileSync(Buffer.concat([Buffer.from(`${latin1}/`), Buffer.from([0xe9])]), '');
  t.match((await failureOf('SOURCE_REFUSED', filesIn(latin1))).message, /not UTF-8/);
  await failureOf('SOURCE_REFUSED', filesIn(folderWith(t, 'a\nb.py')));
});

t.test('an app without a file is refused', async (t) => {
  await failureOf('SOURCE_REFUSED', filesIn(folderWith(t, 'a.py'), { include: ['b.py'] }));
});

t.test('what git ignores is left out and told, unless it is tracked or generated', async (t) => {
  const folder = folderWith(t, 'app/a.py', 'app/key.pem', 'app/kept.pem', 'app/data/x.csv', 'app/static/dist/a.js', 'app/static/b.css', 'app/:(top)x.pem');
  const app = join(folder, 'app');
  git(folder, 'init', '-q');
  writeFileSync(join(folder, '.gitignore'), '*.pem\ndata/\ndist/\nlink\n');
  symlinkSync('/etc/passwd', join(app, 'link'));
  git(folder, 'add', '-f', 'app/kept.pem');
  t.same(await filesIn(app), ['a.py', 'kept.pem', 'static/b.css'], 'a tracked file stays; a link that is ignored is not refused');
  t.same([...(await appIn(app, {})).ignored].sort(), [':(top)x.pem', 'data/x.csv', 'key.pem', 'link', 'static/dist/a.js']);
  t.same(await filesIn(app, { generated: ['static/dist'] }), ['a.py', 'kept.pem', 'static/b.css', 'static/dist/a.js']);
  t.same(await filesIn(app, { generated: ['**/*.pem'], include: ['*.py'] }), ['a.py'], 'generated alone takes nothing');
  const ignored = failureOf('SOURCE_REFUSED', filesIn(app, { include: ['key.pem'] }));
  t.match((await ignored).message, /include matches no file that git does not ignore/);
});

t.test('a repository inside of the app, submodule or not, follows its own rules; one that is ignored is left out whole', async (t) => {
  const folder = folderWith(t, 'a.py', 'lib/l.py', 'lib/l.key', 'clone/c.py', 'clone/c.key', 'src/s.py', 'a.key');
  for (const name of ['lib', 'clone', 'src']) {
    git(join(folder, name), 'init', '-q');
    writeFileSync(join(folder, name, '.gitignore'), '*.key\n');
  }
  git(join(folder, 'lib'), 'add', '.');
  git(join(folder, 'lib'), 'commit', '-qm', 'first');
  git(folder, 'init', '-q');
  git(folder, '-c', 'protocol.file.allow=always', 'submodule', 'add', '-q', './lib', 'lib');
  writeFileSync(join(folder, '.gitignore'), 'src/\n');
  const { files, ignored } = await appIn(folder, {});
  t.same([...files].sort(), ['a.key', 'a.py', 'clone/c.py', 'lib/l.py']);
  t.same([...ignored].sort(), ['clone/c.key', 'lib/l.key', 'src']);
  t.same((await appIn(folder, { include: ['a.py'] })).ignored, [], 'what is not included is not told');
  t.same(await filesIn(folder, { include: ['src'], generated: ['src'] }), ['src/s.key', 'src/s.py'].slice(1), 'generated takes all below it');
});

t.test('outside of a repository and without git all is taken; when git cannot say, nothing is', async (t) => {
  const folder = folderWith(t, 'a.py', 'key.pem');
  writeFileSync(join(folder, '.gitignore'), '*.pem\n');
  const all = ['a.py', 'key.pem'];
  t.same([...(await appIn(folder, {}, { PATH: process.env.PATH, GIT_CEILING_DIRECTORIES: dirname(folder) })).files].sort(), all);
  git(folder, 'init', '-q');
  t.same([...(await appIn(folder, {}, { PATH: '/nowhere' })).files].sort(), all);
  t.same(await filesIn(folder), ['a.py']);
  writeFileSync(join(folder, '.git', 'index'), 'no index');
  t.match((await failureOf('GIT_FAILED', filesIn(folder))).message, /git cannot say what it ignores in .*: \S/);
});
