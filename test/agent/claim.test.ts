import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { claim } from '../../agent/claim.ts';

t.test('S26: a folder is one process’s until it ends, by whatever path it is named; who has it is said', async (t) => {
  const parent = t.testdir({ folder: {} });
  const folder = join(parent, 'folder');
  const program = `import { claim } from ${JSON.stringify(import.meta.resolve('../../agent/claim.ts'))}; await claim(process.argv[1]); console.log('has it'); setInterval(() => {}, 1000);`;
  const other = spawn(process.execPath, ['--input-type=module', '--eval', program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  symlinkSync(folder, join(parent, 'link'));
  for (const path of [folder, join(parent, 'link')]) await t.rejects(claim(path), { code: 'ALREADY_RUNNING', message: new RegExp(`pid ${other.pid}`) });
  other.kill('SIGKILL');
  await once(other, 'exit');
  await t.resolves(claim(folder));
});

t.test('a folder that cannot be made is named', async (t) => {
  const folder = t.testdir();
  writeFileSync(join(folder, 'file'), '');
  await t.rejects(claim(join(folder, 'file', 'below')), { code: 'STATE_UNWRITABLE', message: /ENOTDIR/ });
});
