import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

type Command = readonly [string, ...string[]];

/**
 * The path of `program` in `.pinion/NAME`, which the commands make when it is not there whole; throws what a command that fails said.
 * `name` says all that it is made from.
 */
export function installOnce(name: string, program: string, commands: (folder: string) => readonly Command[]): string {
  const folder = fileURLToPath(new URL(`../../.pinion/${name}`, import.meta.url));
  const done = join(folder, '.pinion-setup');
  if (existsSync(done)) return join(folder, program);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  console.log(`# installing ${name} …`);
  for (const [command, ...args] of commands(folder)) {
    const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
  }
  writeFileSync(done, '');
  return join(folder, program);
}
