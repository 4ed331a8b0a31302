import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { localPython } from '../../../local/moto.ts';
import { findInterpreter, withPip } from '../../../pipeline/artifact/interpreter.ts';
import { run } from '../../../pipeline/artifact/run.ts';
import { python, temporaryFolder } from '../../support/pipeline-app.ts';
import { failureOf } from '../../support/pipeline-cloud.ts';

const never = new AbortController().signal;
const program = (folder: string, name: string, text: string) => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), 0o755);
};

t.test('it says where it really is, what it is, and for what it builds', async (t) => {
  const found = await findInterpreter(python, { PATH: dirname(localPython) }, never);
  t.equal(found.python, python);
  t.match(found.version, new RegExp(`^${python}\\.\\d+`));
  t.equal(found.path, await realpath(localPython), 'behind the virtual environment');
  t.match(found.platform, /^linux_(x86_64|aarch64)$/);
  t.equal(found.hasPip, true);
  t.match(found.buildId, /^[0-9a-f]{16}$/);
});

t.test("a version manager's shim that does not run is passed over", async (t) => {
  const folder = temporaryFolder(t);
  program(join(folder, 'shims'), `python${python}`, '#!/bin/sh\nexit 127\n');
  program(join(folder, 'other'), `python${python}`, '#!/bin/sh\necho \'{"python":"3.1","version":"3.1.4"}\'\n');
  const found = await findInterpreter(python, { PATH: `${folder}/shims:${folder}/other:${dirname(localPython)}` }, never);
  t.equal(found.command, join(dirname(localPython), `python${python}`));
});

t.test('PYTHON_MISSING says what was met', async (t) => {
  const folder = temporaryFolder(t);
  t.match((await failureOf('PYTHON_MISSING', findInterpreter('3.99', { PATH: folder }, never))).message, /python3.99 is not on PATH/);
  program(folder, 'python3.99', '#!/bin/sh\nexit 1\n');
  t.match((await failureOf('PYTHON_MISSING', findInterpreter('3.99', { PATH: folder }, never))).message, /does not run/);
});

t.test('an interpreter without pip gets one from its venv, once; without venv it is refused', async (t) => {
  const folder = temporaryFolder(t);
  const base = await findInterpreter(python, { PATH: dirname(localPython) }, never);
  const bare = { ...base, command: base.path, hasPip: false };
  const made = await withPip(bare, folder, { PATH: process.env.PATH }, never);
  t.equal((await run(made, ['-m', 'pip', '--version'], { env: {}, cwd: '/', signal: never })).exit, 0);
  t.equal(await withPip({ ...bare, command: '/nowhere' }, folder, {}, never), made, 'the second time nothing is run');
  symlinkSync('/bin/false', join(folder, 'false'));
  t.match(
    (await failureOf('PYTHON_MISSING', withPip({ ...bare, buildId: 'other', command: join(folder, 'false') }, folder, {}, never))).message,
    /neither pip nor venv/,
  );
});

t.test('a program that is interrupted is ended before the failure comes', async (t) => {
  const stop = new AbortController();
  const running = run('/bin/sh', ['-c', 'exec cat'], { env: {}, cwd: '/', signal: stop.signal, input: 'x'.repeat(10_000_000) });
  stop.abort();
  await t.rejects(running, { name: 'AbortError' });
  t.match(await run('/nowhere/at/all', [], { env: {}, cwd: '/', signal: never }), { exit: 'ENOENT' });
});
