import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findInstalled, pruneReleases, syncReleases, writeInstallList } from '../../../agent/boot/installed.ts';
import { releasePaths } from '../../../agent/boot/release-paths.ts';
import { unpack } from '../../../agent/boot/unpack.ts';
import type { Sha256 } from '../../../contract/names.ts';
import { compress, downloaded, end, leftIn, manifest, manifestEntry, manifestText, rawEntry, rawFolder, releaseOf } from '../../support/archive-bytes.ts';
import { sha256 } from '../../support/pinned.ts';

const { signal } = new AbortController();
const big = Buffer.alloc(2_500_000, 'chunk by chunk ');
const archive = compress(
  Buffer.concat([
    manifestEntry,
    rawFolder('app'),
    rawEntry({ name: 'app/a.py', contents: 'a = 1\n' }),
    rawEntry({ name: 'app/big', contents: big }),
    rawEntry({ name: 'app/none' }),
    end,
  ]),
);
const release = releaseOf(archive, { files: 4, unpackedBytes: manifestText.length + 6 + big.length });
const { artifact } = release;

/** A state folder with the release installed, as a boot leaves it. */
async function installed(t: { testdir(): string }) {
  const state = t.testdir();
  await unpack(downloaded(state, release, archive), release, state, signal);
  return { state, ...releasePaths(state, artifact) };
}
const find = (state: string) => findInstalled(state, release, signal);

t.test('S46: a tree that is as it was unpacked is found, and the agent may have made it a virtual environment', async (t) => {
  const { state, tree } = await installed(t);
  t.same(await find(state), { path: tree, manifest });
  writeFileSync(join(tree, 'pyvenv.cfg'), 'home = /usr/bin\n');
  mkdirSync(join(tree, 'bin'));
  symlinkSync('/usr/bin/python3', join(tree, 'bin', 'python'));
  t.same(await find(state), { path: tree, manifest });
  t.ok(readdirSync(join(tree, 'bin')).length, 'which stays');
});

t.test('F25 S27: a tree or list with any difference is removed, not trusted', async (t) => {
  type Change = (paths: ReturnType<typeof releasePaths>) => unknown;
  const line = (text: string) => text.split('\n').findIndex((one) => one.endsWith('app/a.py'));
  const changes: Record<string, Change> = {
    'a changed byte': ({ tree }) => writeFileSync(join(tree, 'app/a.py'), 'a = 2\n'),
    'a changed byte far into a large file': ({ tree }) => writeFileSync(join(tree, 'app/big'), Buffer.from(big).fill('X', 2_400_000, 2_400_001)),
    'a file cut to nothing, as after a power cut': ({ tree }) => truncateSync(join(tree, 'app/a.py')),
    'a file that is longer': ({ tree }) => appendFileSync(join(tree, 'app/none'), 'x'),
    'a missing file': ({ tree }) => rmSync(join(tree, 'app/none')),
    'a file more': ({ tree }) => writeFileSync(join(tree, 'app/more.py'), ''),
    'a renamed file': ({ tree }) => renameSync(join(tree, 'app/none'), join(tree, 'app/nothing')),
    'a link more': ({ tree }) => symlinkSync('a.py', join(tree, 'app/link')),
    'a file become a link to the same bytes': ({ tree }) => {
      renameSync(join(tree, 'app/a.py'), join(tree, '..', 'elsewhere'));
      symlinkSync(join(tree, '..', 'elsewhere'), join(tree, 'app/a.py'));
    },
    'a FIFO, which must not be waited for': ({ tree }) => execFileSync('mkfifo', [join(tree, 'app/pipe')]),
    'a FIFO in the place of a file': ({ tree }) => {
      rmSync(join(tree, 'app/none'));
      execFileSync('mkfifo', [join(tree, 'app/none')]);
    },
    'no list': ({ list }) => rmSync(list),
    'an empty list': ({ list }) => truncateSync(list),
    'half a list': ({ list }) => truncateSync(list, 200),
    'a list less one line': ({ list }) => {
      const lines = readFileSync(list, 'utf8').split('\n');
      writeFileSync(list, lines.toSpliced(line(lines.join('\n')), 1).join('\n'));
    },
    'a list and a tree that end at the same file': ({ list, tree }) => {
      const [header = '', manifestLine = ''] = readFileSync(list, 'utf8').split('\n');
      // In the place of the digest stands as much of the next line.
      truncateSync(list, header.length + 1 + manifestLine.length + 1 + 65);
      rmSync(join(tree, 'app'), { recursive: true });
    },
    'a list of zeros, as after a power cut': ({ list }) => writeFileSync(list, Buffer.alloc(readFileSync(list).length)),
    'a list that is a folder': ({ list }) => {
      rmSync(list);
      mkdirSync(list);
    },
    'no tree': ({ tree }) => rmSync(tree, { recursive: true }),
    'a tree that is a file': ({ tree }) => {
      rmSync(tree, { recursive: true });
      writeFileSync(tree, 'x');
    },
  };
  for (const [name, change] of Object.entries(changes)) {
    await t.test(name, async (t) => {
      const { state, ...paths } = await installed(t);
      change(paths);
      t.equal(await find(state), undefined);
      t.same(
        leftIn(state).filter((left) => left !== 'elsewhere'),
        [],
        'nothing of it is left',
      );
      await unpack(downloaded(state, release, archive), release, state, signal);
      t.ok(await find(state), 'and it can be installed again');
    });
  }
});

t.test('S27: a list with its own digest right but another content is a difference', async (t) => {
  const { state, list } = await installed(t);
  writeInstallList(list, [{ path: 'manifest.json', sizeBytes: manifestText.length, sha256: sha256(manifestText) }]);
  t.equal(await find(state), undefined);
});

t.test('a manifest that this agent does not know is fetched again', async (t) => {
  const { state, tree, list } = await installed(t);
  rmSync(join(tree, 'app'), { recursive: true });
  writeFileSync(join(tree, 'manifest.json'), '{}');
  writeInstallList(list, [{ path: 'manifest.json', sizeBytes: 2, sha256: sha256('{}') }]);
  t.equal(await find(state), undefined);
});

t.test('a record that asks for other config than the tree has its tree fetched again, and refused there', async (t) => {
  const { state } = await installed(t);
  const other = { ...release, config: { NAME: 1 } };
  t.equal(await findInstalled(state, other, signal), undefined);
  t.same(leftIn(state), []);
  const refused = { code: 'MANIFEST_INVALID', message: /\/config: is empty, the record says NAME/ };
  await t.rejects(unpack(downloaded(state, other, archive), other, state, signal), refused);
  t.same(leftIn(state), []);
});

t.test('S27: foreign and left-over things do no harm', async (t) => {
  t.equal(await find(join(t.testdir(), 'not-there')), undefined);
  const asFile = t.testdir({ releases: 'a file' });
  t.equal(await find(asFile), undefined);
  t.same(leftIn(asFile), [], 'a file in the place of the folder is removed');
  const { state, tree, partialTree, partialFile } = await installed(t);
  mkdirSync(join(partialTree, 'app'), { recursive: true });
  for (const path of [partialFile, join(state, 'releases', 'notes'), join(state, 'other')]) writeFileSync(path, 'x');
  t.match(await find(state), { path: tree });
  t.same(leftIn(state).toSorted(), [artifact.sha256, `${artifact.sha256}.list`, 'notes', 'other'].toSorted());
});

t.test('stopped while it compares, it keeps the tree', async (t) => {
  const many = Array.from({ length: 200 }, (_, index) => rawEntry({ name: `f${index}`, contents: 'x' }));
  const bytes = compress(Buffer.concat([manifestEntry, ...many, end]));
  const other = releaseOf(bytes, { files: 201, unpackedBytes: manifestText.length + 200 });
  const state = t.testdir();
  await unpack(downloaded(state, other, bytes), other, state, signal);
  await t.rejects(findInstalled(state, other, AbortSignal.abort(new Error('told to stop'))), /told to stop/);
  t.ok(await findInstalled(state, other, signal));
});

t.test('every release but one is pruned', async (t) => {
  const { state, tree } = await installed(t);
  const old = join(state, 'releases', sha256('old'));
  mkdirSync(join(old, 'lib'), { recursive: true });
  for (const path of [`${old}.list`, join(state, 'releases', 'notes')]) writeFileSync(path, '');
  await pruneReleases(state, artifact.sha256);
  t.same(leftIn(state).toSorted(), [artifact.sha256, `${artifact.sha256}.list`]);
  t.match(await find(state), { path: tree });
  await pruneReleases(join(state, 'not-there'), sha256('x') as Sha256);
});

t.test('writing through to the disk says whether it was done', async (t) => {
  const { state } = await installed(t);
  t.equal(await syncReleases(state, signal), true);
  t.equal(await syncReleases(join(state, 'not-there'), signal), false);
});
