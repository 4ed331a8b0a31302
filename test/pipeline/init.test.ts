import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { initialize } from '../../pipeline/init.ts';
import { readSettings } from '../../pipeline/settings.ts';
import { temporaryFolder } from '../support/pipeline-app.ts';
import { failureOf } from '../support/pipeline-cloud.ts';

function folderOf(t: Test, files: Readonly<Record<string, string>>): string {
  const folder = join(temporaryFolder(t), 'My Shop');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}
const flask = 'from flask import Flask\n';

t.test('what it writes, the CLI reads: entry point, Python, name and files of the app as its sources have them', async (t) => {
  const cases: readonly [Readonly<Record<string, string>>, object][] = [
    [{ 'app.py': `${flask}app = Flask(__name__)\n` }, { app: 'my-shop', entryPoint: 'app:app', include: ['app.py'], python: '3.13' }],
    [{ 'shop/__init__.py': `${flask}def create_app():\n    return Flask(__name__)\n` }, { entryPoint: 'shop:create_app()', include: ['shop'] }],
    [
      {
        'shop/web.py': `${flask}server = Flask(__name__)\n`,
        'tests/test_web.py': `${flask}app = Flask(__name__)\n`,
        'wsgi.py': 'from shop.web import server\n',
      },
      { entryPoint: 'shop.web:server' },
    ],
    [
      { 'app.py': `${flask}app = Flask(__name__)\n`, 'pyproject.toml': '[project]\nname = "Store"\nrequires-python = ">=3.12"' },
      { app: 'store', python: '3.13', entryPoint: 'app:app' },
    ],
  ];
  for (const [files, expected] of cases) {
    const folder = folderOf(t, files);
    await initialize(folder);
    t.match(await readSettings(folder), { ...expected, healthPath: '/healthz' });
    if (files['pyproject.toml'] !== undefined)
      t.ok(readFileSync(join(folder, 'pyproject.toml'), 'utf8').startsWith(files['pyproject.toml']), 'what was there stays');
  }
});

t.test("Python is the image's where the project allows it, and otherwise one that it names", async (t) => {
  const pythons = {
    '>=3.10': '3.13',
    '>=3.10,<4': '3.13',
    '~=3.11': '3.13',
    '==3.13.*': '3.13',
    '!=3.9.1': '3.13',
    '>=3.9, <3.13': '3.9',
    '>= 3.12, != 3.13.*': '3.12',
    '==3.11.*': '3.11',
    '~=3.11.2': '3.11',
    '>=3.14': '3.14',
  };
  for (const [specifiers, python] of Object.entries(pythons)) {
    const project = `[project]\nname = "store"\nrequires-python = "${specifiers}"\n`;
    const folder = folderOf(t, { 'app.py': `${flask}app = Flask(__name__)\n`, 'pyproject.toml': project });
    t.equal((await initialize(folder)).python, python, specifiers);
  }
});

t.test('it says what is missing, and nothing else', async (t) => {
  const bare = await initialize(folderOf(t, { 'app.py': `${flask}app = Flask(__name__)\n` }));
  t.match(bare.next, [/--generate-hashes/, /gunicorn/, /\/healthz/, /config/, /npm start/]);
  const whole = {
    'app.py': `${flask}app = Flask(__name__)\n@app.get("/healthz")\ndef up(): return "ok"\n`,
    'requirements.txt': 'gunicorn==1 \\\n    --hash=sha256:1\n',
  };
  t.match((await initialize(folderOf(t, whole))).next, [/config/, /npm start/]);
});

t.test('it writes over nothing, and guesses no app where there is none', async (t) => {
  await failureOf('SETTINGS_INVALID', initialize(folderOf(t, { 'app.py': `${flask}app = Flask(__name__)\n`, 'pyproject.toml': '[tool.pinion]\napp = "a"\n' })));
  await failureOf('SETTINGS_INVALID', initialize(folderOf(t, { 'pyproject.toml': 'x = = y\n' })));
  await failureOf('SETTINGS_MISSING', initialize(folderOf(t, { 'app.py': 'print("hello")\n' })));
});
