import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { appFiles } from '../../../pipeline/artifact/source.ts';
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
const all = { include: ['**/*'], exclude: [] };

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
  t.same([...(await appFiles(folder, all))].sort(), ['a.py', 'pkg/b.py', 'static/app.css']);
});

t.test('a glob that matches a folder takes all below it, in include and in exclude', async (t) => {
  const folder = folderWith(t, 'hello/a.py', 'hello/deep/b.html', 'tests/t.py', 'c.py');
  t.same([...(await appFiles(folder, { include: ['hello'], exclude: [] }))].sort(), ['hello/a.py', 'hello/deep/b.html']);
  t.same([...(await appFiles(folder, { include: ['hello/**/*', 'c.py'], exclude: ['hello/deep/'] }))].sort(), ['c.py', 'hello/a.py']);
  t.same([...(await appFiles(folder, { include: ['**/*'], exclude: ['tests', '**/*.html'] }))].sort(), ['c.py', 'hello/a.py']);
});

t.test('F12: links are refused, unless they are left out', async (t) => {
  const folder = folderWith(t, 'a.py');
  symlinkSync('/etc/passwd', join(folder, 'link'));
  symlinkSync('/etc', join(folder, 'folder'));
  t.match((await failureOf('SOURCE_REFUSED', appFiles(folder, all))).message, /(link|folder) cannot go into an artifact: it is a link/);
  t.same(await appFiles(folder, { include: ['**/*'], exclude: ['link', 'folder'] }), ['a.py']);
  t.same(await appFiles(folder, { include: ['*.py'], exclude: [] }), ['a.py']);
});

t.test('F14: what is neither a file nor a folder is refused', async (t) => {
  const folder = folderWith(t, 'a.py');
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  t.match((await failureOf('SOURCE_REFUSED', appFiles(folder, all))).message, /pipe .* neither a file nor a folder/);
});

t.test('F11: names that no artifact carries are refused', async (t) => {
  const latin1 = temporaryFolder(t);
  writeFileSync(Buffer.concat([Buffer.from(`${latin1}/`), Buffer.from([0xe9])]), '');
  t.match((await failureOf('SOURCE_REFUSED', appFiles(latin1, all))).message, /not UTF-8/);
  await failureOf('SOURCE_REFUSED', appFiles(folderWith(t, 'a\nb.py'), all));
});

t.test('an app without a file is refused', async (t) => {
  await failureOf('SOURCE_REFUSED', appFiles(folderWith(t, 'a.py'), { include: ['b.py'], exclude: [] }));
});
