import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../contract/causes.ts';
import type { Interpreter } from './interpreter.ts';
import { run } from './run.ts';

export type PackEntry = {
  /** In the tree, such as `lib/python3.13/site-packages/flask/app.py`. */
  readonly path: string;
  readonly executable: boolean;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Made by the interpreter from the `.py` beside it. */
  readonly compiled: boolean;
};
/** A verified pack (its form: pack.py); `name` is the wheel it came from. */
export type Pack = { readonly name: string; readonly path: string; readonly entries: readonly PackEntry[] };

type Source =
  | { readonly kind: 'wheel'; readonly path: string; readonly sitePackages: string }
  | { readonly kind: 'folder'; readonly path: string; readonly prefix: string; readonly files: readonly string[] };
type Answer = { readonly uncompiled: readonly string[] } | { readonly refused: { readonly path: string; readonly reason: string } };

const program = fileURLToPath(new URL('pack.py', import.meta.url));
const trailerBytes = 16 + 64;

/**
 * Makes the pack of `source` at `to`, whole or not at all, and gives the paths that did not compile.
 * `refuse` makes the Failure of a refusal: WHEEL_REFUSED or SOURCE_REFUSED.
 */
export async function makePack(
  source: Source,
  to: string,
  interpreter: Interpreter,
  signal: AbortSignal,
  refuse: (path: string, reason: string) => Failure,
): Promise<readonly string[]> {
  const partial = `${to}.${randomUUID()}.partial`;
  const place = source.kind === 'wheel' ? source.sitePackages : source.prefix;
  try {
    // -I would leave PYTHONHASHSEED unread, and the order of set constants in compiled code follows the seed.
    const argv = ['-s', '-S', '-B', '-X', 'utf8', program, source.kind, source.path, place, partial];
    const input = source.kind === 'wheel' ? '' : source.files.map((file) => `${file}\0`).join('');
    const ran = await run(interpreter.path, argv, { env: { PYTHONHASHSEED: '0', LC_ALL: 'C' }, cwd: '/', signal, input });
    if (ran.exit !== 0) throw new Failure('INTERNAL_ERROR', { detail: `pack.py ended with ${ran.exit}: ${ran.stderr.trim().split('\n').at(-1)}` });
    const answer = JSON.parse(ran.stdout) as Answer;
    if ('refused' in answer) throw refuse(answer.refused.path, answer.refused.reason);
    await rename(partial, to);
    return answer.uncompiled;
  } finally {
    await rm(partial, { force: true });
  }
}

/** The pack at `path`, or undefined when it is not there or not as it was written. */
export async function openPack(name: string, path: string): Promise<Pack | undefined> {
  const sizeBytes = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (sizeBytes < trailerBytes) return undefined;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { end: sizeBytes - 65, highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  await using file = await open(path);
  const text = async (start: number, end: number) => (await file.read(Buffer.alloc(end - start), 0, end - start, start)).buffer.toString();
  if (hash.digest('hex') !== (await text(sizeBytes - 64, sizeBytes))) return undefined;
  const indexEnd = sizeBytes - trailerBytes;
  const indexBytes = Number.parseInt(await text(indexEnd, indexEnd + 16), 16);
  return { name, path, entries: JSON.parse(await text(indexEnd - indexBytes, indexEnd)) as PackEntry[] };
}
