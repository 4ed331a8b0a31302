import { type Command, InvalidArgumentError } from 'commander';
import { appDirOf, type Cli, envOf, example } from './cli.ts';

type Options = { readonly config: Readonly<Record<string, number>>; readonly note: string };

export const addRelease = (program: Command, { output, signal }: Cli): Command =>
  program
    .command('release')
    .description('make the next release: the published artifact with the newest version of every config name')
    .option('--config <NAME=version>', 'use this version of a config name; may be given for each', chosenVersion, {})
    .option('--note <TEXT>', 'a line that the release keeps', note, '')
    .addHelpText('after', example('pinion --env production release --note "new checkout"', 'pinion --env production release --config GREETING=3'))
    .action(async (options: Options, verb: Command) => {
      const env = envOf(verb);
      const [{ createClients }, { release }] = await Promise.all([import('../aws.ts'), import('../release/release.ts')]);
      output.result({ verb: 'release', ...(await release(appDirOf(verb), env, await createClients(), { ...options, say: output.progress, signal })) });
    });

function chosenVersion(given: string, others: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const [, name, version] = /^([A-Z][A-Z0-9_]*)=([1-9][0-9]{0,8})$/.exec(given) ?? [];
  if (name === undefined) throw new InvalidArgumentError('give NAME=version');
  if (name in others) throw new InvalidArgumentError(`${name} is given twice`);
  return { ...others, [name]: Number(version) };
}

function note(given: string): string {
  if (given.length > 256) throw new InvalidArgumentError('a note has up to 256 characters');
  return given;
}
