import fc from 'fast-check';
import t from 'tap';
import { foldedPath, pathProblem } from '../../../contract/artifact-path.ts';
import type { Pack } from '../../../pipeline/artifact/pack.ts';
import { mergeTree } from '../../../pipeline/artifact/tree.ts';

const pack = (name: string, files: Readonly<Record<string, string>>, compiled: readonly string[] = []): Pack => ({
  name,
  path: `/packs/${name}`,
  entries: Object.entries(files).map(([path, sha256]) => ({ path, executable: false, sizeBytes: 10, sha256, compiled: compiled.includes(path) })),
});
const manifest = Buffer.from('{}');
const refusal = (wheels: readonly Pack[], app = pack('the app', {})) => {
  try {
    mergeTree(manifest, wheels, app);
    return undefined;
  } catch (thrown) {
    return thrown as Error & { code: string };
  }
};

t.test('manifest.json first, then by the bytes of the paths, each folder before its content', async (t) => {
  const tree = mergeTree(manifest, [pack('w', { 'lib/b': '1', 'lib/é/x': '2', 'lib/z': '3' })], pack('the app', { 'app/a-b': '4', 'app/a/c': '5' }));
  t.same(
    tree.map(({ path }) => path),
    ['manifest.json', 'app', 'app/a', 'app/a-b', 'app/a/c', 'lib', 'lib/b', 'lib/z', 'lib/é', 'lib/é/x'],
  );
});

t.test('every file points at its own bytes in its pack', async (t) => {
  const tree = mergeTree(manifest, [pack('w', { 'lib/b': '1', 'lib/a': '2' })], pack('the app', {}));
  t.match(
    tree.find(({ path }) => path === 'lib/a'),
    { bytes: { packPath: '/packs/w', offset: 10 } },
  );
});

t.test('two wheels may share a path with equal bytes, not with others', async (t) => {
  t.equal(refusal([pack('a', { 'lib/ns/__init__.py': '1' }), pack('b', { 'lib/ns/__init__.py': '1' })]), undefined);
  const refused = refusal([pack('a', { 'lib/x.py': '1' }), pack('b', { 'lib/x.py': '2' })]);
  t.match(refused, { code: 'WHEEL_REFUSED', message: 'b is refused: lib/x.py: a has it with other bytes' });
});

t.test('compiled code of a shared source is not compared, a file a wheel brings is', async (t) => {
  const [a, b] = [{ 'lib/x.pyc': '1' }, { 'lib/x.pyc': '2' }];
  t.equal(refusal([pack('a', a, ['lib/x.pyc']), pack('b', b, ['lib/x.pyc'])]), undefined);
  t.match(refusal([pack('a', a), pack('b', b, ['lib/x.pyc'])]), { code: 'WHEEL_REFUSED' });
});

t.test('F18: paths that differ only in case or Unicode form are refused, folders too', async (t) => {
  t.match(refusal([pack('a', { 'lib/Foo.py': '1', 'lib/foo.py': '1' })]), { code: 'WHEEL_REFUSED' });
  t.match(refusal([pack('a', { 'lib/Foo/a': '1' }), pack('b', { 'lib/foo/b': '1' })]), { code: 'WHEEL_REFUSED' });
  t.match(refusal([], pack('the app', { 'app/\u00e9': '1', 'app/e\u0301': '1' })), { code: 'SOURCE_REFUSED' });
  t.match(refusal([], pack('the app', { 'app/stra\u00dfe': '1', 'app/STRASSE': '1' })), { code: 'SOURCE_REFUSED' });
});

t.test('a file where another has a folder is refused', async (t) => {
  t.match(refusal([pack('a', { 'lib/x': '1' }), pack('b', { 'lib/x/y': '1' })]), {
    code: 'WHEEL_REFUSED',
    message: /lib\/x: it is a folder here and a file in a/,
  });
});

t.test('paths that no artifact carries', async (t) => {
  const bad = [
    'app/a\nb',
    'app/a\\b',
    `app/${'n'.repeat(256)}`,
    `app/${'a/'.repeat(32)}a`,
    `app/${'nnn/'.repeat(255)}n`,
    'bin/python',
    'BIN/x',
    'pyvenv.cfg',
    'app/\ud800',
  ];
  for (const path of bad) t.ok(pathProblem(path), JSON.stringify(path).slice(0, 40));
  for (const path of ['app/script (dev).tmpl', 'app/é', `app/${'n'.repeat(255)}`, 'app/bin/x', 'share/bin'])
    t.equal(pathProblem(path), undefined, path.slice(0, 40));
});

t.test('folding is the same for a name in any case and normal form', async (_t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) => {
      const folded = foldedPath(name);
      return folded === foldedPath(name.normalize('NFD')) && folded === foldedPath(name.normalize('NFC')) && folded === foldedPath(folded);
    }),
  );
});
