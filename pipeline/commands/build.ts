import { type Command, InvalidArgumentError } from 'commander';
import { appDirOf, type Cli, example } from './cli.ts';

export const addBuild = (program: Command, { output, signal }: Cli): Command =>
  program
    .command('build')
    .description('build the app into .pinion/build/artifact.tar.zst')
    .option('--python <X.Y>', 'Python to build for, in place of the one in [tool.pinion]; it must be on PATH', pythonVersion)
    .addHelpText('after', example('pinion --app-dir flask-app build --python 3.13'))
    .action(async (options: { python?: string }, verb: Command) => {
      const { build } = await import('../artifact/build.ts');
      const { interpreter: _, ...built } = await build(appDirOf(verb), { ...options, say: output.progress, signal });
      output.result({ verb: 'build', ...built });
    });

function pythonVersion(given: string): string {
  if (!/^3\.[0-9]{1,2}$/.test(given)) throw new InvalidArgumentError('give X.Y, such as 3.13');
  return given;
}
