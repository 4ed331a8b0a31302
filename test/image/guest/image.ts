import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type SealedImage = {
  readonly folder: string;
  /** The tree as it would be on the AMI's volume. Read-only for everyone. */
  readonly root: string;
  /** The agent's package that is in it. */
  readonly deb: string;
  /** A secret that was in Packer's environment during the bake. */
  readonly canary: string;
  /** What Packer and the provision scripts printed. */
  readonly log: string;
};

/** The folder of a baked image, which is taken as it is, whatever the work tree has become meanwhile. */
export const imageVariable = 'PINION_IMAGE';
const program = fileURLToPath(new URL('bake.ts', import.meta.url));

/**
 * The image of what is in the work tree now, from the cache or baked: a minute, one more for the very first. By a process of its own, as a lab
 * of a test has no way out, and without a pause, as modules beside one that pauses run on. Throws when the bake fails, which has then said why.
 */
export function sealedImage(): SealedImage {
  const folder = process.env[imageVariable] ?? bake();
  return {
    folder,
    root: join(folder, 'root'),
    deb: join(folder, 'pinion-agent.deb'),
    canary: readFileSync(join(folder, 'canary'), 'utf8'),
    log: join(folder, 'packer.log'),
  };
}

function bake(): string {
  const argv = ['--pdeathsig', 'KILL', '--', process.execPath, program];
  const { status, signal, stdout } = spawnSync('setpriv', argv, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', timeout: 3_600_000 });
  if (status !== 0) throw new Error(`the bake ended with ${status ?? signal}: its lines above say why`);
  return stdout.trim();
}
