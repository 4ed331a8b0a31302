import { cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { type Built, readBuilt } from '../../../pipeline/artifact/built.ts';
import { baseRoot } from './base.ts';
import { command } from './command.ts';
import { projectRoot } from './folders.ts';
import { keyOf, stored } from './stored.ts';
import { inTree } from './tree.ts';

type AppOf = {
  readonly files: Readonly<Record<string, string>>;
  /** Lines of `[tool.pinion]` beside `app` and `python`. */
  readonly settings: string;
  /** Default: the sample app's. */
  readonly requirements?: string;
};
export type BuiltForGuest = Built & { readonly appDir: string };

const python = '3.13';
const sampleApp = join(projectRoot, 'flask-app');
/** What pip needs to build on Debian, and the libraries of the project's Node; the image has none of them. */
const packages = ['python3-venv', 'libatomic1', 'libstdc++6'];

/** A tree with the image's Python in which `pinion build` runs. */
export async function builderRoot(): Promise<string> {
  const base = await baseRoot();
  return stored('builder', keyOf([base, ...packages], ['test/image/guest/artifact.ts']), async (folder) => {
    await command(['cp', '-a', `${base}/.`, folder]);
    const env = { ...debianEnvironment, DEBIAN_FRONTEND: 'noninteractive' };
    const script = `apt-get -qq -o Acquire::Retries=3 update && apt-get -qq -o Acquire::Retries=3 install --no-install-recommends ${packages.join(' ')} && apt-get clean`;
    await inTree(folder, ['sh', '-c', script], { writes: 'kept', env, timeoutMs: 300_000 });
  });
}

/**
 * The app of these files, built by this project's own `pinion build` for the image's Python, whatever Python this machine has. `folder`/app is
 * then what `publish` and `release` take. The same files are built once.
 */
export async function buildForGuest(folder: string, { files, settings, requirements }: AppOf): Promise<BuiltForGuest> {
  const text = `[tool.pinion]\napp = "shop"\npython = "${python}"\n${settings}`;
  const builder = await builderRoot();
  const sources = ['pipeline/**', 'contract/**', 'package-lock.json', 'flask-app/requirements.txt', 'test/image/guest/artifact.ts'];
  const made = await stored('artifact', keyOf([builder, text, requirements ?? '', JSON.stringify(files)], sources), async (appDir) => {
    for (const [path, content] of Object.entries({ ...files, 'pyproject.toml': text })) {
      await mkdir(dirname(join(appDir, path)), { recursive: true });
      await writeFile(join(appDir, path), content);
    }
    if (requirements === undefined) await cp(join(sampleApp, 'requirements.txt'), join(appDir, 'requirements.txt'));
    else await writeFile(join(appDir, 'requirements.txt'), requirements);
    // What any build here fetched, the others need not.
    const cache = join(sampleApp, '.pinion', 'cache');
    for (const needed of [cache, join(appDir, '.pinion')]) await mkdir(needed, { recursive: true });
    await symlink(cache, join(appDir, '.pinion', 'cache'));
    await buildIn(builder, appDir);
    await rm(join(appDir, '.pinion', 'cache'));
  });
  const appDir = join(folder, 'app');
  await cp(made, appDir, { recursive: true });
  return { ...(await readBuilt(appDir)), appDir };
}

const debianEnvironment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

/** With pip's settings of this machine: index, proxy, certificates, and the files that they name. */
async function buildIn(builder: string, appDir: string): Promise<void> {
  const program = [join(projectRoot, 'node_modules/.bin/node'), join(projectRoot, 'pipeline/main.ts'), '--app-dir', appDir, 'build', '--json'];
  const named = Object.entries(process.env).filter(([name]) => /^(PIP_|SSL_|REQUESTS_)|_proxy$/i.test(name));
  const files = named.flatMap(([, value = '']) => (isAbsolute(value) ? [value] : []));
  const ofPip = ['/etc/pip.conf', '/etc/xdg/pip', ...['.pip', '.config/pip', '.netrc'].map((name) => join(homedir(), name))];
  await inTree(builder, program, {
    writes: 'thrown-away',
    binds: [...new Set([projectRoot.replace(/\/$/, ''), ...ofPip, ...files])],
    env: { ...debianEnvironment, HOME: homedir(), ...Object.fromEntries(named) },
    timeoutMs: 180_000,
  });
}
