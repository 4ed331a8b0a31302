import type { Command } from 'commander';
import { appDirOf, type Cli, envOf, example } from './cli.ts';

export const addHistory = (program: Command, { output, signal }: Cli): Command =>
  program
    .command('history')
    .description('show the releases of the environment, newest first, and which config versions each changed')
    .addHelpText('after', example('pinion --env production history'))
    .action(async (_: object, verb: Command) => {
      const env = envOf(verb);
      const [{ readSettings }, { createClients }, { readReleases }, { historyOf }] = await Promise.all([
        import('../settings.ts'),
        import('../aws.ts'),
        import('../release/read.ts'),
        import('../release/history.ts'),
      ]);
      const { app } = await readSettings(appDirOf(verb));
      const { ssm } = await createClients();
      output.result({ verb: 'history', app, env, releases: historyOf(await readReleases(ssm, { app, env }, signal)) });
    });
