import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import t from 'tap';
import { build } from '../../../pipeline/artifact/build.ts';
import { gunicorn, makeApp, pyproject, python, temporaryFolder } from '../../support/pipeline-app.ts';
import { runCli } from '../../support/pipeline-cli.ts';
import { failureOf } from '../../support/pipeline-cloud.ts';

const flask = { name: 'flask', files: { 'flask/__init__.py': 'x = {"b", "a", None}\n', 'flask-1.0.data/data/share/flask/page.html': '<p>' } };
const files = { 'shop.py': 'app = lambda environ, start: []\nnames = {"one", "two"}\n', 'static/a.css': 'a {}', 'tool.sh': '#!/bin/sh\n' };
const list = (archive: string) =>
  execFileSync('tar', ['-tf', '-'], { input: zstdDecompressSync(readFileSync(archive)), encoding: 'utf8' })
    .trim()
    .split('\n');

t.test('an artifact holds the manifest, the app and the wheels, and says what it is', async (t) => {
  const app = makeApp(t, { wheels: [gunicorn, flask], files, settings: 'config = ["GREETING"]\nexclude = ["tool.sh", "*.toml", "requirements.txt"]\n' });
  const built = await build(app.appDir, { env: app.env });
  const archive = join(app.appDir, '.pinion/build/artifact.tar.zst');
  const site = `lib/python${python}/site-packages`;
  const paths = list(archive);
  t.equal(paths[0], 'manifest.json');
  for (const path of ['app/shop.py', 'app/static/a.css', `${site}/gunicorn/__main__.py`, `${site}/gunicorn-27.0.1.dist-info/RECORD`, 'share/flask/page.html'])
    t.ok(paths.includes(path), path);
  t.ok(paths.some((path) => path.startsWith('app/__pycache__/shop.')));
  t.notOk(paths.some((path) => /tool\.sh|pyproject|requirements|\.pinion/.test(path)));
  const inside = JSON.parse(execFileSync('tar', ['-xOf', '-', 'manifest.json'], { input: zstdDecompressSync(readFileSync(archive)), encoding: 'utf8' }));
  t.same(inside, built.manifest);
  t.match(inside, {
    schemaVersion: 1,
    app: 'shop',
    entryPoint: 'shop:app',
    python,
    healthPath: '/healthz',
    config: ['GREETING'],
    gunicorn: { workers: 2, threads: 4 },
  });
  t.equal(built.files, paths.filter((path) => !path.endsWith('/')).length);
  const { interpreter, ...written } = built;
  t.same(JSON.parse(readFileSync(join(app.appDir, '.pinion/build/artifact.json'), 'utf8')), written);
  t.match(interpreter, /^\//);
  t.same(readdirSync(join(app.appDir, '.pinion/build')).sort(), ['artifact.json', 'artifact.tar.zst']);
  t.equal(readFileSync(join(app.appDir, '.pinion/.gitignore'), 'utf8'), '*\n');
});

t.test('the same sources give the same bytes: other folder, umask, time zone, locale, dates, cold and warm cache', async (t) => {
  const one = makeApp(t, { wheels: [gunicorn, flask], files });
  const first = await build(one.appDir, { env: one.env });
  const warm = await build(one.appDir, { env: one.env });
  t.equal(warm.sha256, first.sha256, 'warm');

  const elsewhere = join(temporaryFolder(t), 'a', 'longer name', 'é');
  mkdirSync(elsewhere, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(one.appDir)) if (name !== '.pinion') cpSync(join(one.appDir, name), join(elsewhere, name), { recursive: true });
  utimesSync(join(elsewhere, 'shop.py'), 1, 1);
  chmodSync(join(elsewhere, 'shop.py'), 0o600);
  const shell = `umask 077 && exec "$0" "$@"`;
  const env = { ...one.env, TZ: 'Pacific/Auckland', LC_ALL: 'C', LANG: 'tr_TR.UTF-8', PYTHONHASHSEED: '77', PYTHONOPTIMIZE: '2', SOURCE_DATE_EPOCH: '1' };
  const cli = new URL('../../../pipeline/main.ts', import.meta.url).pathname;
  const out = execFileSync('sh', ['-c', shell, process.execPath, cli, '--app-dir', elsewhere, '--json', 'build'], { env, encoding: 'utf8' });
  t.match(JSON.parse(out), { ok: true, verb: 'build', sha256: first.sha256 });

  chmodSync(join(elsewhere, 'tool.sh'), 0o755);
  t.not((await build(elsewhere, { env: one.env })).sha256, first.sha256, 'the x bit counts');
});

t.test('a change in any of them is another artifact', async (t) => {
  const app = makeApp(t, { files });
  const { sha256 } = await build(app.appDir, { env: app.env });
  writeFileSync(join(app.appDir, 'pyproject.toml'), pyproject('health-path = "/up"\n'));
  const other = await build(app.appDir, { env: app.env });
  t.not(other.sha256, sha256);
  t.equal(other.manifest.healthPath, '/up');
});

t.test('a failed build leaves the last artifact whole, and nothing else', async (t) => {
  const app = makeApp(t, { files });
  const { sha256 } = await build(app.appDir, { env: app.env });
  writeFileSync(join(app.appDir, 'SHOP.py'), '');
  t.match((await failureOf('SOURCE_REFUSED', build(app.appDir, { env: app.env }))).message, /differs only in case/);
  t.same(readdirSync(join(app.appDir, '.pinion/build')).sort(), ['artifact.json', 'artifact.tar.zst']);
  t.equal(JSON.parse(readFileSync(join(app.appDir, '.pinion/build/artifact.json'), 'utf8')).sha256, sha256);
});

t.test('two wheels that write one path differently are refused by both names', async (t) => {
  const app = makeApp(t, { wheels: [gunicorn, { name: 'a', files: { 'same.txt': '1' } }, { name: 'b', files: { 'same.txt': '2' } }] });
  t.match((await failureOf('WHEEL_REFUSED', build(app.appDir, { env: app.env }))).message, /b-1\.0.*same\.txt: a-1\.0.* has it with other bytes/);
});

t.test('what git ignores is told and stays out', async (t) => {
  const app = makeApp(t, { files: { ...files, '.gitignore': '*.pem\n.pinion/\n', 'a.pem': 'key', 'b.pem': 'key' } });
  execFileSync('git', ['init', '-q'], { cwd: app.appDir });
  const built = await runCli(['--app-dir', app.appDir, 'build'], app.env);
  t.match(built, { exit: 0, stderr: /^note: git ignores (a|b)\.pem and 1 more: left out, unless generated in \[tool\.pinion\] names it$/m });
  const paths = list(join(app.appDir, '.pinion/build/artifact.tar.zst'));
  t.ok(paths.includes('app/static/a.css'));
  t.notOk(paths.some((path) => path.endsWith('.pem')));
});

t.test('a source that does not compile is said, not hidden', async (t) => {
  const app = makeApp(t, { files: { ...files, 'template.py': 'class {{ x }}:\n' } });
  const said: unknown[] = [];
  await build(app.appDir, { env: app.env, say: (event) => said.push(event) });
  t.match(
    said.filter((event) => (event as { event: string }).event === 'uncompiled'),
    [{ path: 'app/template.py' }],
  );
});

for (const at of ['fetching', 'archiving'] as const) {
  t.test(`a build interrupted at ${at} ends at once and leaves nothing half`, async (t) => {
    const app = makeApp(t, { files });
    const stop = new AbortController();
    await t.rejects(build(app.appDir, { env: app.env, signal: stop.signal, say: ({ event }) => (event === at ? stop.abort() : undefined) }), {
      name: 'AbortError',
    });
    t.same(readdirSync(join(app.appDir, '.pinion/build')), []);
    t.ok(readdirSync(join(app.appDir, '.pinion/cache')).every((name) => /\.(pack|json)$/.test(name)));
  });
}

t.test('--python chooses another interpreter, which must be there', async (t) => {
  const app = makeApp(t, { files });
  const missing = await runCli(['--app-dir', app.appDir, 'build', '--python', '3.99', '--json'], app.env);
  t.equal(missing.exit, 3);
  t.match(JSON.parse(missing.stdout), { ok: false, cause: 'PYTHON_MISSING' });
  rmSync(join(app.appDir, 'pyproject.toml'));
  t.match(await runCli(['--app-dir', app.appDir, 'build'], app.env), { exit: 3, stdout: '', stderr: /^pinion: SETTINGS_MISSING: .*\n$/ });
});
