import type { Command } from 'commander';
import { appDirOf, type Cli, envOf, example } from './cli.ts';

export const addPublish = (program: Command, { output, signal }: Cli): Command =>
  program
    .command('publish')
    .description('put the built artifact into the artifact bucket, once; doing it again is harmless')
    .addHelpText('after', example('pinion --env production publish'))
    .action(async (_: object, verb: Command) => {
      const [{ createClients }, { publish }] = await Promise.all([import('../aws.ts'), import('../artifact/publish.ts')]);
      const env = envOf(verb);
      output.result({ verb: 'publish', ...(await publish(appDirOf(verb), env, await createClients(), { say: output.progress, signal })) });
    });
