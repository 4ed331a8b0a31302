import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { printable } from '../../contract/artifact-path.ts';
import { Failure } from '../../contract/causes.ts';
import type { Say } from '../progress.ts';
import { type Interpreter, withPip } from './interpreter.ts';
import { makePack, openPack, type Pack } from './pack.ts';
import { run } from './run.ts';

type Wheel = { readonly name: string; readonly sha256: string };
type Place = { readonly appDir: string; readonly cacheFolder: string; readonly env: NodeJS.ProcessEnv };

export const sitePackages = (python: string): string => `lib/python${python}/site-packages`;

/**
 * Packs of every wheel that `requirements.txt` locks, in the order of their names. What was packed before is taken from the cache after its
 * digest was proven again, so that a second build needs no network. Throws REQUIREMENTS_MISSING, WHEELS_UNAVAILABLE, WHEEL_REFUSED,
 * GUNICORN_MISSING, PYTHON_MISSING.
 */
export async function wheelPacks({ appDir, cacheFolder, env }: Place, interpreter: Interpreter, say: Say, signal: AbortSignal): Promise<readonly Pack[]> {
  const file = join(appDir, 'requirements.txt');
  const lock = await readFile(file, 'utf8').catch((cause) => {
    throw new Failure('REQUIREMENTS_MISSING', { file }, { cause });
  });
  const isWhole = !namesOtherFiles(lock);
  if (isWhole && !locksGunicorn.test(lock)) throw new Failure('GUNICORN_MISSING', { file });
  await mkdir(cacheFolder, { recursive: true });
  const packPath = (wheel: Wheel) => join(cacheFolder, `${wheel.sha256}-${interpreter.buildId}.pack`);
  const listPath = join(cacheFolder, `${createHash('sha256').update(lock).digest('hex')}-${interpreter.buildId}.json`);
  const cached = isWhole ? await cachedPacks(listPath, packPath) : undefined;
  if (cached !== undefined) {
    say({ event: 'wheels', count: cached.length, packed: 0 });
    return cached;
  }

  say({ event: 'fetching', file });
  const fetching = await mkdtemp(join(cacheFolder, 'fetch-'));
  const folder = join(fetching, 'wheels');
  try {
    await fetchWheels(await withPip(interpreter, cacheFolder, env, signal), file, folder, { ...env, TMPDIR: fetching }, signal);
    const wheels: Wheel[] = [];
    for (const name of (await readdir(folder)).sort()) wheels.push({ name, sha256: await sha256Of(join(folder, name)) });
    if (!wheels.some(({ name }) => /^gunicorn-/i.test(name))) throw new Failure('GUNICORN_MISSING', { file });
    let packed = 0;
    const packs = await inParallel(wheels, async (wheel) => {
      const known = await openPack(wheel.name, packPath(wheel));
      if (known !== undefined) return known;
      packed++;
      const refuse = (path: string, reason: string) =>
        new Failure('WHEEL_REFUSED', { wheel: wheel.name, reason: path === '' ? reason : `${printable(path)}: ${reason}` });
      await makePack(
        { kind: 'wheel', path: join(folder, wheel.name), sitePackages: sitePackages(interpreter.python) },
        packPath(wheel),
        interpreter,
        signal,
        refuse,
      );
      const made = await openPack(wheel.name, packPath(wheel));
      if (made === undefined) throw new Failure('INTERNAL_ERROR', { detail: `the pack of ${wheel.name} cannot be read back` });
      return made;
    });
    say({ event: 'wheels', count: wheels.length, packed });
    await writeFile(join(fetching, 'list'), JSON.stringify(wheels));
    await rename(join(fetching, 'list'), listPath);
    return packs;
  } finally {
    // With pip's own temporary files, also when it was killed.
    await rm(fetching, { recursive: true, force: true });
  }
}

/** By name, or by the address of a wheel: told before anything is fetched. */
const locksGunicorn = /^\s*gunicorn(?![\w.-])|\/gunicorn-\d/im;

/** Only the file's own bytes key the cache, so one that reads others, or names folders, is resolved each time. */
const namesOtherFiles = (lock: string): boolean => /^\s*(-[rcf]|--(requirement|constraint|find-links)\b)/m.test(lock) || /@\s*file:/.test(lock);

async function cachedPacks(listPath: string, packPath: (wheel: Wheel) => string): Promise<readonly Pack[] | undefined> {
  try {
    const wheels = JSON.parse(await readFile(listPath, 'utf8')) as Wheel[];
    const packs = await Promise.all(wheels.map((wheel) => openPack(wheel.name, packPath(wheel))));
    return packs.every((pack) => pack !== undefined) ? packs : undefined;
  } catch {
    // No list yet, or one that was cut short: both are made again.
    return undefined;
  }
}

async function fetchWheels(python: string, lockFile: string, to: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  // With its dependencies: a lock that lacks one is found now and not at boot.
  const argv = ['-m', 'pip', 'download', '--only-binary=:all:', '--require-hashes', '--disable-pip-version-check', '--no-input'];
  // The user's pip settings hold (index, proxy, certificates), but for the one that would refuse an interpreter outside a virtual environment.
  const options = { env: { ...env, PIP_REQUIRE_VIRTUALENV: '0' }, cwd: dirname(lockFile), signal };
  const ran = await run(python, [...argv, '--progress-bar=off', '-r', lockFile, '-d', to], options);
  if (ran.exit !== 0) throw new Failure('WHEELS_UNAVAILABLE', { detail: tellingLine(ran.stderr) ?? `pip ended with ${ran.exit}` });
}

/** The last line in which pip says what is wrong, with its continuation, and without addresses: they may carry credentials. */
export function tellingLine(stderr: string): string | undefined {
  const lines = stderr.split('\n').map((line) => line.trim());
  const at = lines.findLastIndex((line) => line.startsWith('ERROR:'));
  if (at === -1) return undefined;
  const said = (lines[at] ?? '').slice('ERROR:'.length).trim();
  const whole = /[:.]$/.test(said) && lines[at + 1] ? `${said} ${lines[at + 1]}` : said;
  return whole.replace(/\S+:\/\/\S+/g, '(address)').slice(0, 400);
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Results in the order of `items`, as many at once as there are processors; the first failure waits for what has begun. */
async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  const lanes = await Promise.allSettled(Array.from({ length: availableParallelism() }, lane));
  for (const ended of lanes) if (ended.status === 'rejected') throw ended.reason;
  return results;
}
