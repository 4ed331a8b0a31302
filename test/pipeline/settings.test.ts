import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readSettings } from '../../pipeline/settings.ts';
import { pyproject, python, temporaryFolder } from '../support/pipeline-app.ts';
import { failureOf } from '../support/pipeline-cloud.ts';

const folderWith = (t: { teardown(fn: () => unknown): unknown }, text: string) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'pyproject.toml'), text);
  return folder;
};

t.test('three settings are enough; the others have defaults', async (t) => {
  t.same(await readSettings(folderWith(t, pyproject())), {
    app: 'shop',
    entryPoint: 'shop:app',
    python,
    healthPath: '/healthz',
    releaseHeader: undefined,
    instanceHeader: undefined,
    smoke: { paths: [{ path: '/healthz', status: 200, text: undefined }], budgetSeconds: 60 },
    config: [],
    include: ['**/*'],
    exclude: [],
    generated: [],
    gunicorn: { workers: 2, threads: 4, timeoutSeconds: 30, gracefulTimeoutSeconds: 30, keepAliveSeconds: 75 },
    localConfig: {},
  });
});

t.test('every setting is read', async (t) => {
  const text = pyproject(`health-path = "/up"
release-header = "X-Release"
instance-header = "X-Instance"
config = ["A", "B"]
include = ["shop"]
exclude = ["tests"]
generated = ["shop/dist"]
[tool.pinion.gunicorn]
workers = 1
threads = 1
timeout-seconds = 5
graceful-timeout-seconds = 6
keep-alive-seconds = 90
[tool.pinion.smoke]
paths = ["/", { path = "/login", status = 401, text = "Sign in" }]
text = "shop"
budget-seconds = 9
[tool.pinion.local.config]
A = "local"
`);
  t.match(await readSettings(folderWith(t, text)), {
    healthPath: '/up',
    releaseHeader: 'X-Release',
    instanceHeader: 'X-Instance',
    smoke: {
      paths: [
        { path: '/', status: 200, text: 'shop' },
        { path: '/login', status: 401, text: 'Sign in' },
      ],
      budgetSeconds: 9,
    },
    config: ['A', 'B'],
    include: ['shop'],
    exclude: ['tests'],
    generated: ['shop/dist'],
    gunicorn: { workers: 1, threads: 1, timeoutSeconds: 5, gracefulTimeoutSeconds: 6, keepAliveSeconds: 90 },
    localConfig: { A: 'local' },
  });
});

t.test('what is missing or wrong is named by its place, its value never', async (t) => {
  const invalid = async (text: string) => (await failureOf('SETTINGS_INVALID', readSettings(folderWith(t, text)))).message;
  const missing = async (folder: string) => (await failureOf('SETTINGS_MISSING', readSettings(folder))).message;
  t.match(await missing('/nope'), /: \/nope does not exist$/);
  t.match(await missing(temporaryFolder(t)), /pyproject\.toml does not exist$/);
  t.match(await missing(folderWith(t, '[project]\nname = "shop"\n')), /pyproject\.toml has none$/);
  t.match(await invalid('[tool.pinion]\nx = = hush\n'), /at line 2: it is not TOML/);
  t.match(await invalid('[tool.pinion]\napp = "shop"\n'), /required property "(entry-point|python)"/);
  t.match(await invalid(pyproject('entry_point = "x"\n')), /\/tool\/pinion\/entry_point: is not a field/);
  t.match(await invalid(pyproject('config = ["lower"]\n')), '/tool/pinion/config/0');
  t.match(await invalid(pyproject('config = ["PINION_RELEASE"]\n')), '/tool/pinion/config/0');
  t.match(await invalid(pyproject('[tool.pinion.gunicorn]\nworkers = 0\n')), '/tool/pinion/gunicorn/workers');
  t.match(await invalid(pyproject('[tool.pinion.gunicorn]\nbind = "0.0.0.0"\n')), '/tool/pinion/gunicorn/bind');
  t.match(await invalid('[tool.pinion]\napp = "Shop"\nentry-point = "shop:app"\npython = "3.13"\n'), /app: must be a string of up to 32 lower-case letters/);
  t.match(await invalid('[tool.pinion]\napp = "shop"\nentry-point = "shop"\npython = "3.13"\n'), /entry-point: must be "module:app"/);
  t.match(await invalid('[tool.pinion]\napp = "shop"\nentry-point = "shop:app"\npython = 3.11\n'), /python: must be a string such as "3.13", in quotes$/);
  t.match(await invalid(pyproject('health-path = "up"\n')), /health-path: must be a string that begins with \//);
  t.match(await invalid(pyproject('release-header = "X Y"\n')), /release-header: must be a string of up to 64/);
  t.match(await invalid(pyproject('config = ["lower"]\n')), /config\/0: must be a string of capitals/);
  t.match(await invalid(pyproject('[tool.pinion.local.config]\nlower = "hush"\n')), /local\/config\/lower: must be a name as in config/);
  const stray = await invalid(pyproject('[tool.pinion.local.config]\nSTRAY = "hush"\n'));
  t.match(stray, '/tool/pinion/local/config/STRAY: config does not name it');
  t.notMatch(stray, /hush/);
});
