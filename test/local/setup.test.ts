import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';

const setup = fileURLToPath(new URL('../../local/setup.mjs', import.meta.url));

const npm = `#!/bin/sh
echo "npm $1" >> calls
mkdir -p node_modules/.bin && ln -sf "$NODE" node_modules/.bin/node
`;
const python = `#!/bin/sh
case "$1 $2" in
"-m venv") echo "python venv" >> calls; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
"-m pip") echo "python pip" >> calls ;;
*) echo "$PYTHON_VERSION" ;;
esac
`;

/** A clone with executables in the place of npm and Python that write down what they are asked. */
function clone(t: Test, tools: Record<string, string> = {}) {
  const folder = t.testdir({
    local: { 'requirements.txt': 'moto' },
    'package-lock.json': '{}',
    'print.ts': 'const words: string[] = process.argv.slice(2);\nconsole.log("runs", ...words);\n',
    'leave.ts': 'process.exit(7);\n',
    'die.ts': 'process.kill(process.pid, "SIGKILL");\n',
    'wait.ts':
      'for (const s of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(s, () => process.exit(s.length));\nsetInterval(() => {}, 1000);\nconsole.log("waits");\n',
    tools: { npm, python3: python, ...tools },
  });
  copyFileSync(setup, join(folder, 'local/setup.mjs'));
  for (const tool of ['npm', 'python3']) chmodSync(join(folder, 'tools', tool), 0o755);
  const start = (...args: string[]) => {
    const env = { PATH: `${join(folder, 'tools')}:/usr/bin:/bin`, NODE: process.execPath, PYTHON_VERSION: '3.11' };
    return spawn(process.execPath, ['local/setup.mjs', ...args], { cwd: folder, env });
  };
  const run = async (...args: string[]) => {
    const child = start(...args);
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => chunks.push(bytes));
    const [code, signal] = await once(child, 'close');
    return { ended: code ?? signal, output: Buffer.concat(chunks).toString() };
  };
  const path = (...parts: string[]) => join(folder, ...parts);
  /** What was installed since the last question. */
  const installed = () => {
    const calls = existsSync(path('calls')) ? readFileSync(path('calls'), 'utf8').trim().split('\n').sort() : [];
    rmSync(path('calls'), { force: true });
    return calls;
  };
  return { start, run, path, installed };
}
const everything = ['npm ci', 'python pip', 'python venv'];

t.test('it installs once, says so, and then only runs', async (t) => {
  const { run, path, installed } = clone(t);
  const first = await run('print.ts', 'a', 'b');
  t.match(first, { ended: 0, output: /packages installed in [\d.]+ s\n(.*\n)*runs a b\n$/ });
  t.same(installed(), everything);
  t.same(await run('print.ts'), { ended: 0, output: 'runs\n' });
  t.same(installed(), []);
  t.match(readFileSync(path('node_modules/.bin/pinion'), 'utf8'), 'pipeline/main.ts');
});

t.test('it installs again only what changed, is gone or was cut off', async (t) => {
  const { run, path, installed } = clone(t);
  await run('print.ts');
  installed();
  writeFileSync(path('package-lock.json'), '{"changed":true}');
  await run('print.ts');
  t.same(installed(), ['npm ci']);
  writeFileSync(path('local/requirements.txt'), 'changed');
  await run('print.ts');
  t.same(installed(), ['python pip', 'python venv']);
  rmSync(path('.pinion/venv/bin/python'));
  await run('print.ts');
  t.same(installed(), ['python pip', 'python venv'], 'its interpreter is gone');
  rmSync(path('node_modules/.pinion-setup'));
  await run('print.ts');
  t.same(installed(), ['npm ci'], 'it has no stamp');
});

t.test('two at once install once', async (t) => {
  const { run, installed } = clone(t);
  const both = await Promise.all([run('print.ts', 'a'), run('print.ts', 'b')]);
  t.match(both, [{ ended: 0 }, { ended: 0 }]);
  t.same(installed(), everything);
});

t.test('the script decides how it ends', async (t) => {
  const { run, start, installed } = clone(t);
  t.equal((await run('leave.ts')).ended, 7);
  t.equal((await run('die.ts')).ended, 'SIGKILL');
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const child = start('wait.ts');
    await once(child.stdout, 'data');
    child.kill(signal);
    t.same(await once(child, 'exit'), [signal.length, null]);
  }
  t.same(installed(), everything);
});

t.test('what is missing is named with the next step, and nothing is taken for installed', async (t) => {
  const broken = { npm: '#!/bin/sh\necho "npm error offline" >&2\nexit 1\n' };
  const offline = clone(t, broken);
  t.match(await offline.run('print.ts'), { ended: 1, output: /npm error offline\npinion: npm ci failed/ });
  t.notOk(existsSync(offline.path('node_modules/.pinion-setup')));
  const noVenv = clone(t, { python3: '#!/bin/sh\nexit 1\n' });
  t.match(await noVenv.run('print.ts'), { ended: 1, output: /apt-get install python3-venv/ });
  const oldPython = clone(t, { python3: '#!/bin/sh\necho 3.9\n' });
  t.match(await oldPython.run('print.ts'), { ended: 1, output: /python3 is 3\.9: install Python 3\.10 or later/ });
});
