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
    config: [],
    include: ['**/*'],
    exclude: [],
    gunicorn: { workers: 2, threads: 4, timeoutSeconds: 30, gracefulTimeoutSeconds: 30, keepAliveSeconds: 75 },
    localConfig: {},
  });
});

t.test('every setting is read', async (t) => {
  const text = pyproject(`health-path = "/up"
release-header = "X-Release"
config = ["A", "B"]
include = ["shop"]
exclude = ["tests"]
[tool.pinion.gunicorn]
workers = 1
threads = 1
timeout-seconds = 5
graceful-timeout-seconds = 6
keep-alive-seconds = 90
[tool.pinion.local.config]
A = "local"
`);
  t.match(await readSettings(folderWith(t, text)), {
    healthPath: '/up',
    releaseHeader: 'X-Release',
    config: ['A', 'B'],
    include: ['shop'],
    exclude: ['tests'],
    gunicorn: { workers: 1, threads: 1, timeoutSeconds: 5, gracefulTimeoutSeconds: 6, keepAliveSeconds: 90 },
    localConfig: { A: 'local' },
  });
});

t.test('what is missing or wrong is named by its place, its value never', async (t) => {
  const invalid = async (text: string) => (await failureOf('SETTINGS_INVALID', readSettings(folderWith(t, text)))).message;
  await failureOf('SETTINGS_MISSING', readSettings(temporaryFolder(t)));
  await failureOf('SETTINGS_MISSING', readSettings(folderWith(t, '[project]\nname = "shop"\n')));
  t.match(await invalid('[tool.pinion]\nx = = hush\n'), /at line 2: it is not TOML/);
  t.match(await invalid('[tool.pinion]\napp = "shop"\n'), /required property "(entry-point|python)"/);
  t.match(await invalid(pyproject('entry_point = "x"\n')), /\/tool\/pinion\/entry_point: is not a field/);
  t.match(await invalid(pyproject('config = ["lower"]\n')), '/tool/pinion/config/0');
  t.match(await invalid(pyproject('config = ["PINION_RELEASE"]\n')), '/tool/pinion/config/0');
  t.match(await invalid(pyproject('[tool.pinion.gunicorn]\nworkers = 0\n')), '/tool/pinion/gunicorn/workers');
  t.match(await invalid(pyproject('[tool.pinion.gunicorn]\nbind = "0.0.0.0"\n')), '/tool/pinion/gunicorn/bind');
  const stray = await invalid(pyproject('[tool.pinion.local.config]\nSTRAY = "hush"\n'));
  t.match(stray, '/tool/pinion/local/config/STRAY: config does not name it');
  t.notMatch(stray, /hush/);
});
