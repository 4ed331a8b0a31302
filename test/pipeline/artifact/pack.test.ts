import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Failure } from '../../../contract/causes.ts';
import { findInterpreter } from '../../../pipeline/artifact/interpreter.ts';
import { makePack, openPack } from '../../../pipeline/artifact/pack.ts';
import { buildEnvironment, makeWheel, python, temporaryFolder, type WheelSpec } from '../../support/pipeline-app.ts';
import { failureOf } from '../../support/pipeline-cloud.ts';

type Test = { teardown(fn: () => unknown): unknown };
const never = new AbortController().signal;
const interpreter = await findInterpreter(python, buildEnvironment('/nowhere'), never);
const site = `lib/python${python}/site-packages`;
const refuse = (path: string, reason: string) => new Failure('WHEEL_REFUSED', { wheel: 'a wheel', reason: `${path}: ${reason}` });

async function packed(t: Test, spec: WheelSpec, change: (file: string) => void = () => undefined) {
  const folder = temporaryFolder(t);
  const { file } = makeWheel(folder, spec);
  change(file);
  const to = join(folder, 'pack');
  const uncompiled = await makePack({ kind: 'wheel', path: file, sitePackages: site }, to, interpreter, never, refuse);
  return { to, uncompiled, pack: await openPack('w', to) };
}

t.test('a wheel goes to its places: scripts, headers and its own compiled code stay out', async (t) => {
  const files = {
    'w/__init__.py': 'x = 1\n',
    'w/__pycache__/__init__.cpython-311.pyc': 'stale',
    'w/data.txt': 'd',
    'w-1.0.data/platlib/native.so': 'elf',
    'w-1.0.data/data/share/w/page.html': 'p',
    'w-1.0.data/data/bin/tool': 't',
    'w-1.0.data/scripts/run': 's',
    'w-1.0.data/headers/w.h': 'h',
  };
  const { pack, uncompiled } = await packed(t, { name: 'w', files, modes: { 'w-1.0.data/platlib/native.so': 0o100755 } });
  t.same(uncompiled, []);
  const tag = `cpython-${python.replace('.', '')}`;
  t.same(
    pack?.entries.map(({ path }) => path.replace(`${site}/`, '§/')).sort(),
    [
      'share/w/page.html',
      '§/native.so',
      '§/w-1.0.dist-info/METADATA',
      '§/w-1.0.dist-info/RECORD',
      '§/w-1.0.dist-info/WHEEL',
      '§/w/__init__.py',
      `§/w/__pycache__/__init__.${tag}.pyc`,
      '§/w/data.txt',
    ].sort(),
  );
  t.equal(pack?.entries.find(({ path }) => path.endsWith('.so'))?.executable, true);
  t.ok(pack?.entries.every(({ executable, path }) => !executable || path.endsWith('.so')));
});

t.test('compiled code is an unchecked hash pyc with a relative path, and runs', async (t) => {
  const { pack, to } = await packed(t, { name: 'w', files: { 'w/__init__.py': 'x = {"b", "a"}\n' } });
  const entries = pack?.entries ?? [];
  const at = entries.findIndex(({ compiled }) => compiled);
  const offset = entries.slice(0, at).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const pyc = readFileSync(to).subarray(offset, offset + (entries[at]?.sizeBytes ?? 0));
  t.equal(pyc.readUInt32LE(4), 1, 'hash-based, unchecked (PEP 552)');
  t.ok(pyc.includes(`${site}/w/__init__.py`), 'its path is the one in the tree');
  t.notOk(pyc.includes('/tmp/'));
});

t.test('a source that does not compile goes in without compiled code', async (t) => {
  const { pack, uncompiled } = await packed(t, { name: 'w', files: { 'w/a.py': 'ok = 1\n', 'w/template.py': 'class {{ name }}:\n', 'w/nul.py': 'a\0' } });
  t.same(uncompiled, [`${site}/w/nul.py`, `${site}/w/template.py`]);
  t.ok(pack?.entries.some(({ path }) => path.endsWith('template.py')));
});

const refusals: readonly [string, WheelSpec, RegExp, ((file: string) => void)?][] = [
  ['F11: a name with .. is refused', { name: 'w', files: { '../evil.py': '' } }, /evil.py: the name is not a plain relative path/],
  ['F11: an absolute name is refused', { name: 'w', files: { '/etc/evil': '' } }, /not a plain relative path/],
  ['F11: a way out through .data is refused', { name: 'w', files: { 'w-1.0.data/data/../../evil': '' } }, /not a plain relative path/],
  ['F12: a symbolic link is refused', { name: 'w', files: { 'w/link': '/etc/passwd' }, modes: { 'w/link': 0o120777 } }, /link: it is not a regular file/],
  ['F14: a device is refused', { name: 'w', files: { 'w/dev': '' }, modes: { 'w/dev': 0o020666 } }, /not a regular file/],
  [
    'a file that RECORD does not name is refused',
    { name: 'w', files: { 'w/a.py': '', 'w/extra.py': 'evil' }, record: { 'w/extra.py': '' } },
    /extra.py: RECORD does not name it/,
  ],
  [
    'F06: bytes that RECORD does not name are refused',
    { name: 'w', files: { 'w/a.py': 'x' }, record: { 'w/a.py': `w/a.py,sha256=${'A'.repeat(43)},1` } },
    /a.py: its bytes are not those/,
  ],
  [
    'a size that RECORD does not name is refused',
    { name: 'w', files: { 'w/a.py': '' }, record: { 'w/a.py': 'w/a.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,3' } },
    /a.py: its size/,
  ],
  ['a hash weaker than sha256 is refused', { name: 'w', files: { 'w/a.py': '' }, record: { 'w/a.py': 'w/a.py,md5=1B2M2Y8AsgTpgAmY7PhCfg,0' } }, /no sha256/],
  [
    'a file that RECORD names and that is not there is refused',
    { name: 'w', record: { more: `w/gone.py,sha256=${'A'.repeat(43)},1` } },
    /gone.py: RECORD names it/,
  ],
  ["a wheel that writes the app's files is refused", { name: 'w', files: { 'w-1.0.data/data/app/x.py': '' } }, /app is not a wheel's to write/],
  ['a .data folder without a place is refused', { name: 'w', files: { 'w-1.0.data/home/x': '' } }, /no place for home/],
  ['F19: a truncated wheel is refused', { name: 'w' }, /not a sound zip file/, (file) => truncateSync(file, statSync(file).size - 30)],
];
for (const [name, spec, reason, change] of refusals) {
  t.test(name, async (t) => {
    t.match((await failureOf('WHEEL_REFUSED', packed(t, spec, change))).message, reason);
  });
}

t.test('the same wheel is the same pack in another process', async (t) => {
  const files = { 'w/a.py': 'x = {"b", "a", "c", None}\ndef f(y):\n  return y in {"one", "two", "three", 4.5}\n' };
  const [one, two] = await Promise.all([packed(t, { name: 'w', files }), packed(t, { name: 'w', files })]);
  t.same(readFileSync(one.to), readFileSync(two.to));
});

t.test('F06: a pack with one changed byte is not opened, wherever it is', async (t) => {
  const { to } = await packed(t, { name: 'w', files: { 'w/a.py': 'x = 1\n' } });
  const sound = readFileSync(to);
  for (const at of [0, Math.floor(sound.length / 2), sound.length - 70, sound.length - 1]) {
    const damaged = Buffer.from(sound);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    writeFileSync(to, damaged);
    t.equal(await openPack('w', to), undefined, `byte ${at}`);
  }
  writeFileSync(to, sound.subarray(0, 40));
  t.equal(await openPack('w', to), undefined, 'cut short');
  t.equal(await openPack('w', `${to}.none`), undefined, 'not there');
});

t.test("an app's folder becomes a pack: only the user's x bit counts", async (t) => {
  const folder = temporaryFolder(t);
  const paths = ['a.py', 'run.sh', 'é.txt'];
  for (const path of paths) writeFileSync(join(folder, path), path === 'a.py' ? 'x = 1\n' : 'text');
  await chmod(join(folder, 'run.sh'), 0o700);
  await chmod(join(folder, 'é.txt'), 0o611);
  const to = join(folder, 'pack');
  await makePack({ kind: 'folder', path: folder, prefix: 'app', files: paths }, to, interpreter, never, refuse);
  const pack = await openPack('the app', to);
  t.same(
    pack?.entries.map(({ path, executable }) => [path, executable]),
    [
      ['app/a.py', false],
      [`app/__pycache__/a.cpython-${python.replace('.', '')}.pyc`, false],
      ['app/run.sh', true],
      ['app/é.txt', false],
    ],
  );
});
