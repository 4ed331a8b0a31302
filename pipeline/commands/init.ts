import type { Command } from 'commander';
import { appDirOf, type Cli, example } from './cli.ts';

export const addInit = (program: Command, { output }: Cli): Command =>
  program
    .command('init')
    .description('write [tool.pinion] for the Flask app in this folder, and say what to do next')
    .addHelpText('after', example('pinion --app-dir shop init'))
    .action(async (_: object, verb: Command) => {
      const { initialize } = await import('../init.ts');
      output.result({ verb: 'init', ...(await initialize(appDirOf(verb))) });
    });
