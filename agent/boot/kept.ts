import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stateOf } from '../app/unit.ts';
import { replaceFile } from '../replace-file.ts';
import type { Settings } from '../settings.ts';
import { agentVersion } from '../version.ts';
import type { BootProcess } from './child.ts';
import type { Launch } from './prepare.ts';

/** A launch as it lies in the runtime folder while its app runs. It holds no value of config. */
type Kept = { readonly agent: string; readonly bootId: string; readonly launch: Launch };

const keptPath = (runtimeFolder: string) => join(runtimeFolder, 'launch.json');
/** Another one for each start of the host (random(4)). */
const bootId = () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** Writes down what runs, for an agent that comes after a killed one. */
export function keepLaunch(runtimeFolder: string, launch: Launch): void {
  replaceFile(keptPath(runtimeFolder), JSON.stringify({ agent: agentVersion, bootId: bootId(), launch } satisfies Kept), 0o600);
}

/** After an orderly end the next agent boots anew. */
export const forgetLaunch = (runtimeFolder: string): void => rmSync(keptPath(runtimeFolder), { force: true });

/**
 * The boot of an earlier agent of this version, in this boot of the host, whose app still runs in its unit: told again instead of done again, so that neither AWS nor
 * the disk can come between an agent's restart and readiness. Undefined when there is none, or anything about it differs.
 */
export async function adoptedBoot({ appUnit, runtimeFolder }: Settings): Promise<BootProcess | undefined> {
  const kept = appUnit === undefined ? undefined : readKept(runtimeFolder);
  if (appUnit === undefined || kept?.agent !== agentVersion || kept.bootId !== bootId()) return undefined;
  const { launch } = kept;
  const unit = await stateOf(appUnit).catch(() => undefined);
  if (unit === undefined || !unit.isActive || unit.startedAtUs <= launch.preparedAtUs) return undefined;
  return {
    listen({ onEvent, onLaunch }) {
      onEvent({ event: 'identified', app: launch.app, env: launch.env, instance: launch.instance, budgetMs: launch.times.bootBudgetMs });
      onLaunch(launch);
    },
    async stop() {},
  };
}

function readKept(runtimeFolder: string): Kept | undefined {
  try {
    return JSON.parse(readFileSync(keptPath(runtimeFolder), 'utf8'));
  } catch {
    return undefined;
  }
}
