import type { Command } from 'commander';
import { appDirOf, type Cli, envOf, example } from './cli.ts';

export const addHistory = (program: Command, { output, signal }: Cli): Command =>
  program
    .command('history')
    .description('show the releases of the environment, newest first, and which config versions each changed, and how its last deploy ended')
    .addHelpText('after', example('pinion --env production history'))
    .action(async (_: object, verb: Command) => {
      const env = envOf(verb);
      const [{ readSettings }, { createRolloutClients }, { readReleases }, { historyOf }, { readOutcomes }] = await Promise.all([
        import('../settings.ts'),
        import('../aws.ts'),
        import('../release/read.ts'),
        import('../release/history.ts'),
        import('../rollout/outcomes.ts'),
      ]);
      const { app } = await readSettings(appDirOf(verb));
      const clients = await createRolloutClients();
      const [stored, outcomes] = await Promise.all([readReleases(clients.ssm, { app, env }, signal), readOutcomes(clients, { app, env }, signal)]);
      const releases = historyOf(stored).map((entry) => ({ ...entry, outcome: outcomes.get(entry.release) }));
      output.result({ verb: 'history', app, env, releases });
    });
