import { execFile } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync, symlinkSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { parseEnvironmentFile } from '../../../agent/app/environment.ts';
import type { Identity } from '../../../agent/boot/identity.ts';
import { prepare } from '../../../agent/boot/prepare.ts';
import { unpack } from '../../../agent/boot/unpack.ts';
import type { InstanceId } from '../../../contract/names.ts';
import type { Release } from '../../../contract/release.ts';
import { compress, downloaded, end, manifestEntry, manifestText, rawEntry, rawFolder, releaseOf } from '../../support/archive-bytes.ts';
import { makeUserData } from '../../support/pinned.ts';
import { needsNamespaces } from '../../support/tool.ts';

const program = fileURLToPath(new URL('../../support/prepare-release.ts', import.meta.url));

const identity: Identity = { instance: 'i-0' as InstanceId, address: '127.0.0.9', userData: makeUserData(1, '') };

/** A host, and a way to unpack and prepare a release of one file with these values of config on it. */
function host(t: { testdir(): string }) {
  const folder = t.testdir();
  const [stateFolder, runtimeFolder] = [join(folder, 'state'), join(folder, 'run', 'pinion')];
  const install = async (text: string) => {
    const compressed = compress(Buffer.concat([manifestEntry, rawFolder('app'), rawEntry({ name: 'app/app.py', contents: text }), end]));
    const release = releaseOf(compressed, { files: 2, unpackedBytes: manifestText.length + text.length });
    const tree = await unpack(downloaded(stateFolder, release, compressed), release, stateFolder, new AbortController().signal);
    return { release, tree };
  };
  const prepareOn = async (
    { release, tree }: Awaited<ReturnType<typeof install>>,
    values: Readonly<Record<string, string>> = {},
    interpreter: string = process.execPath,
  ) => {
    const config = { names: Object.keys(values), entries: () => Object.entries(values) };
    const versions: Release['config'] = Object.fromEntries(config.names.map((name) => [name, 7]));
    const settings = { stateFolder, runtimeFolder, appFolder: runtimeFolder, interpreter, bind: '127.0.0.1:8000' };
    // The rest of a host is for the phases before.
    return prepare(settings as Parameters<typeof prepare>[0], identity, { ...release, config: versions }, tree, config);
  };
  const paths = {
    current: join(stateFolder, 'current'),
    releases: join(stateFolder, 'releases'),
    environment: join(runtimeFolder, 'app.env'),
    gunicorn: join(runtimeFolder, 'gunicorn.conf.py'),
  };
  /** All that an app runs on, or will at its next start. */
  const touched = (release: Release) => ({
    current: readlinkSync(paths.current),
    environment: readFileSync(paths.environment, 'utf8'),
    gunicorn: readFileSync(paths.gunicorn, 'utf8'),
    inodes: [paths.environment, paths.gunicorn].map((path) => statSync(path).ino),
    run: readdirSync(runtimeFolder).sort(),
    tree: readdirSync(join(paths.releases, release.artifact.sha256), { recursive: true })
      .map(String)
      .sort()
      .map((path) => [path, lstatSync(join(paths.releases, release.artifact.sha256, path)).mtimeMs]),
    list: readFileSync(join(paths.releases, `${release.artifact.sha256}.list`), 'utf8'),
  });
  return { stateFolder, runtimeFolder, install, prepareOn, paths, touched };
}
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

t.test('writes what gunicorn needs, each with no more rights than it needs', async (t) => {
  const { runtimeFolder, install, prepareOn, paths } = host(t);
  const installed = await install('a');
  const launch = await prepareOn(installed, { GREETING: 'a "b" $c\n' });
  t.same([runtimeFolder, paths.environment, paths.gunicorn].map(mode), ['700', '400', '640']);
  t.same(readdirSync(runtimeFolder).sort(), ['app.env', 'gunicorn.conf.py'], 'nothing partial stays');
  const environment = parseEnvironmentFile(readFileSync(paths.environment, 'utf8'));
  const own = { PINION_RELEASE: '1', PINION_COMMIT: '0123abc', PINION_ENV: 'test', PINION_INSTANCE: 'i-0' };
  t.match(Object.fromEntries(environment), { ...own, GREETING: 'a "b" $c\n' });
  t.match(readFileSync(paths.gunicorn, 'utf8'), new RegExp(`^chdir = "${paths.current}/app"$`, 'm'));
  t.match(readFileSync(paths.gunicorn, 'utf8'), /^bind = "127\.0\.0\.1:8000"$/m);
  t.match(launch, { release: 1, instance: 'i-0', address: '127.0.0.9', config: { GREETING: 7 }, manifest: { entryPoint: 'app:app' } });
  t.notMatch(JSON.stringify(launch), /\$c/);
});

t.test('the umask of who starts the agent takes nothing from the user that runs the app', async (t) => {
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  const { install, prepareOn, paths } = host(t);
  const { tree, ...rest } = await install('a');
  await prepareOn({ tree, ...rest });
  t.same([tree.path, join(tree.path, 'bin'), join(tree.path, 'app'), paths.gunicorn].map(mode), ['750', '750', '750', '640']);
});

t.test('the tree is a virtual environment of the interpreter', async (t) => {
  const { stateFolder, install, prepareOn } = host(t);
  const installed = await install('a');
  const link = join(stateFolder, 'python');
  symlinkSync(process.execPath, link);
  await prepareOn(installed, {}, link);
  const real = realpathSync(process.execPath);
  t.equal(readlinkSync(join(installed.tree.path, 'bin', 'python')), real);
  const settings = readFileSync(join(installed.tree.path, 'pyvenv.cfg'), 'utf8');
  t.equal(settings, `home = ${dirname(real)}\ninclude-system-site-packages = false\nversion = 3.13\n`);
});

t.test('current is switched to the new tree by one rename, and the older release is removed', async (t) => {
  const { stateFolder, install, prepareOn, paths } = host(t);
  const a = await install('a');
  await prepareOn(a);
  t.equal(readlinkSync(paths.current), a.tree.path);
  const b = await install('b');
  t.equal(readdirSync(paths.releases).length, 4, 'both are there, with their lists');
  // A link that was removed and made again would be seen as such.
  const seen: string[] = [];
  const watcher = watch(stateFolder, (type, name) => seen.push(`${type} ${name}`));
  await prepareOn(b);
  t.ok(lstatSync(paths.current).isSymbolicLink());
  t.equal(readFileSync(join(paths.current, 'app', 'app.py'), 'utf8'), 'b');
  t.same(readdirSync(paths.releases).sort(), [b.release.artifact.sha256, `${b.release.artifact.sha256}.list`]);
  t.same(readdirSync(stateFolder).sort(), ['current', 'releases']);
  // The system tells changes in their order.
  mkdirSync(join(stateFolder, 'last'));
  while (!seen.includes('rename last')) await new Promise((resolve) => watcher.once('change', resolve));
  watcher.close();
  t.same(
    seen.filter((change) => change === 'rename current'),
    ['rename current'],
  );
  await prepareOn(b);
  t.equal(readlinkSync(paths.current), b.tree.path, 'and again, where all of it is there');
});

t.test('INTERPRETER_MISSING: one that is not there or no program is refused before the app is touched', async (t) => {
  const { runtimeFolder, install, prepareOn, paths } = host(t);
  const a = await install('a');
  const file = join(a.tree.path, 'manifest.json');
  for (const [interpreter, detail] of [
    ['/usr/bin/python3.99', 'ENOENT'],
    [file, 'EACCES'],
  ] as const) {
    await t.rejects(prepareOn(a, {}, interpreter), { code: 'INTERPRETER_MISSING', isTransient: false, message: new RegExp(`${detail}`) }, detail);
  }
  t.notOk(existsSync(paths.current));
  t.notOk(existsSync(runtimeFolder));
});

t.test('STATE_UNWRITABLE: what cannot be written is named', async (t) => {
  const { runtimeFolder, install, prepareOn, paths } = host(t);
  const a = await install('a');
  mkdirSync(join(paths.gunicorn, 'in-the-way'), { recursive: true });
  await t.rejects(prepareOn(a), { code: 'STATE_UNWRITABLE', isTransient: false, message: new RegExp(runtimeFolder) });
  t.notOk(existsSync(paths.current), 'current is switched last');
});

t.test('F20: no space in the runtime folder is told of that folder, and nothing partial stays', async (t) => {
  if (!needsNamespaces(t)) return;
  const folder = t.testdir({ state: {}, run: {} });
  const script = 'mount -t tmpfs -o size=4k tmpfs "$2/run" && exec "$0" "$1" "$2/state" "$2/run"';
  const { stdout } = await promisify(execFile)('unshare', ['-rm', 'sh', '-c', script, process.execPath, program, folder]);
  const { code, message, left } = JSON.parse(stdout);
  t.equal(code, 'DISK_FULL');
  t.match(message, new RegExp(`${folder}/run lacks \\d+ bytes`));
  t.same(left, []);
});

t.test('F49: a value that no environment can carry is refused by name before the app is touched', async (t) => {
  const { install, prepareOn, touched } = host(t);
  const a = await install('a');
  await prepareOn(a, { SECRET: 'fine' });
  const before = touched(a.release);
  const b = await install('b');
  for (const bad of ['hunter2\0', 'hunter2\ud800', `hunter2${'x'.repeat(131_072)}`]) {
    const failure = await t.rejects(prepareOn(b, { FINE: 'fine', SECRET: bad }), { code: 'CONFIG_UNDELIVERABLE', isTransient: false, message: /SECRET/ });
    t.notMatch(JSON.stringify(failure), /hunter2/);
    t.same(touched(a.release), before);
  }
  t.notOk(existsSync(join(b.tree.path, 'pyvenv.cfg')), 'nor is the new tree');
});
