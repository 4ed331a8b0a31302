import type { Command } from 'commander';
import type { Context } from '../rollout/context.ts';
import { appDirOf, type Cli, envOf } from './cli.ts';

/** What the verbs of a rollout work with, from the program that a verb belongs to. Throws SETTINGS_*, ENV_MISSING, SETTING_INVALID. */
export async function openRollout(verb: Command, { output, signal }: Cli): Promise<Context> {
  const env = envOf(verb);
  const [{ readSettings }, { createRolloutClients }, { readPace }] = await Promise.all([
    import('../settings.ts'),
    import('../aws.ts'),
    import('../rollout/pace.ts'),
  ]);
  const app = await readSettings(appDirOf(verb));
  return { clients: await createRolloutClients(), place: { app: app.app, env }, app, pace: readPace(process.env), say: output.rollout, signal };
}
