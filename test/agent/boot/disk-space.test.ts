import { execFile } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { promisify } from 'node:util';
import t from 'tap';
import { diskFailure, reserveSpace, wantedFor } from '../../../agent/boot/disk-space.ts';
import { Failure } from '../../../contract/causes.ts';
import { releaseOf } from '../../support/archive-bytes.ts';
import { needsNamespaces } from '../../support/tool.ts';

const program = new URL('../../support/archive-unpack.ts', import.meta.url).pathname;
const run = promisify(execFile);
const { artifact } = releaseOf(Buffer.alloc(100), { files: 8, unpackedBytes: 1000 });

t.test('what is wanted covers archive and tree side by side, whole blocks, and a margin', async (t) => {
  t.same(wantedFor(artifact, 4096), { bytes: 100 + 1000 + 8 * 4096 + 16 * 1024 * 1024, inodes: 8 + 2 + 16 });
});

t.test('F20: the sentence counts what is missing', async (t) => {
  const folder = t.testdir();
  const { bavail, bsize } = statfsSync(folder);
  const tooMuch = { ...artifact, sizeBytes: bavail * bsize };
  t.throws(() => reserveSpace(folder, tooMuch), { code: 'DISK_FULL', isTransient: false });
  t.doesNotThrow(() => reserveSpace(folder, artifact));
});

t.test('system errors become the cause that fits, and others stay what they are', async (t) => {
  const folder = t.testdir();
  const system = (code: string, path?: string) => Object.assign(new Error(code), { code, syscall: 'write', ...(path && { path }) });
  const of = (thrown: unknown) => diskFailure(thrown, folder, { bytes: 1e18, inodes: 1 });
  for (const code of ['ENOSPC', 'EDQUOT']) t.match(of(system(code)), { code: 'DISK_FULL', cause: { code } });
  for (const code of ['EROFS', 'EACCES', 'EIO', 'ENOTDIR'])
    t.match(of(system(code, '/a/b')), { code: 'STATE_UNWRITABLE', message: `/a/b cannot be written: ${code}` });
  const failure = new Failure('UNPINNED', { source: 'x' });
  for (const thrown of [failure, new TypeError('x'), 'x', undefined, null]) t.equal(of(thrown), thrown);
});

/** Runs the program on a small file system of its own. */
async function onTmpfs(t: { testdir(): string }, options: string, ...args: readonly string[]) {
  const script = `mount -t tmpfs -o ${options} tmpfs "$1" && shift && exec "$@"`;
  const state = t.testdir();
  const { stdout } = await run('unshare', ['-rm', 'sh', '-c', script, 'sh', state, process.execPath, program, ...args.slice(0, 1), state, ...args.slice(1)]);
  return JSON.parse(stdout);
}

t.test('F20: a full disk is told before the download, with the bytes that are missing', async (t) => {
  if (!needsNamespaces(t)) return;
  const { code, message, left } = await onTmpfs(t, 'size=20m', 'reserve', '10');
  t.equal(code, 'DISK_FULL');
  const missing = Number(/lacks (\d+) bytes/.exec(message)?.[1]);
  t.ok(missing > 10_000_000 && missing < 20_000_000, message);
  t.same(left, []);
});

t.test('F20: a disk that fills up in the middle is cleaned up and told with what was still to come', async (t) => {
  if (!needsNamespaces(t)) return;
  const { code, message, left } = await onTmpfs(t, 'size=20m', 'large', '16');
  t.equal(code, 'DISK_FULL');
  t.match(message, /lacks \d{6,} bytes/);
  t.same(left, []);
});

t.test('F23: no inodes left is told before the download, with the inodes that are missing', async (t) => {
  if (!needsNamespaces(t)) return;
  const { code, message, left } = await onTmpfs(t, 'size=200m,nr_inodes=10', 'reserve', '1');
  t.equal(code, 'INODES_FULL');
  t.match(message, /lacks \d+ inodes/);
  t.same(left, []);
});

t.test('F23: inodes that run out in the middle are told as such, and cleaned up', async (t) => {
  if (!needsNamespaces(t)) return;
  const { code, message, left } = await onTmpfs(t, 'size=200m,nr_inodes=100', 'many', '500');
  t.equal(code, 'INODES_FULL');
  t.match(message, /lacks 4\d\d inodes/);
  t.same(left, []);
});

t.test('F20: a read-only disk is told as such', async (t) => {
  if (!needsNamespaces(t)) return;
  const { code, message, left } = await onTmpfs(t, 'size=20m,ro', 'reserve', '1');
  t.equal(code, 'STATE_UNWRITABLE');
  t.match(message, /EROFS/);
  t.same(left, []);
});
