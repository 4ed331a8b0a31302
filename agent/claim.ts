import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { Failure } from '../contract/causes.ts';
import { processWith } from './port.ts';

/**
 * Keeps a folder for this process until it ends, however it ends: an abstract socket (unix(7)) has no file that could be left behind.
 * Throws ALREADY_RUNNING with the process that has it, STATE_UNWRITABLE for a folder that cannot be made.
 */
export async function claim(folder: string): Promise<void> {
  const name = `pinion-${createHash('sha256').update(made(folder)).digest('hex').slice(0, 32)}`;
  const server = createServer((socket) => socket.destroy()).unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(cause.code === 'EADDRINUSE' ? new Failure('ALREADY_RUNNING', { folder, holder: holderOf(name) }, { cause }) : cause),
    );
    server.listen(`\0${name}`, resolve);
  });
}

function made(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return realpathSync(path);
  } catch (cause) {
    throw new Failure('STATE_UNWRITABLE', { path, detail: (cause as NodeJS.ErrnoException).code ?? String(cause) }, { cause });
  }
}

/** Columns of /proc/net/unix: the inode is the seventh, an abstract name comes last behind `@` (Linux: net/unix/af_unix.c). */
function holderOf(name: string): string {
  const row = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .find((line) => line.endsWith(`@${name}`));
  return processWith(new Set([`socket:[${row?.trim().split(/\s+/)[6]}]`]));
}
