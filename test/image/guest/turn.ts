import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Does `work` while no other process of this clone does work of the same name. flock(2) on a file, and not an abstract socket as in
 * local/setup.mjs: those are one namespace's, and labs have their own. It is let go with the process that holds it, so it is never stale.
 */
export async function inTurn<T>(file: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const holder = spawn('flock', ['--timeout', '1800', file, 'sh', '-c', 'echo; exec cat >/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(holder, 'close');
  const [first] = await Promise.race([once(holder.stdout, 'data'), closed.then(() => [])]);
  if (first === undefined) throw new Error(`${file} could not be taken within half an hour`);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await closed;
  }
}
