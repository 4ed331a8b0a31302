import { type Command, InvalidArgumentError } from 'commander';
import type { From } from '../release/promote.ts';
import { appDirOf, type Cli, envOf, example } from './cli.ts';

type Options = { readonly config: Readonly<Record<string, number>>; readonly note?: string; readonly from?: From };

export const addRelease = (program: Command, { output, signal }: Cli): Command =>
  program
    .command('release')
    .description("make the next release: the published artifact, or another release's, with the newest version of every config name")
    .option(
      '--from <ENV[:N[:SHA256]]>',
      'promote: take the artifact of that release of ENV, the newest without N; refuse it if its record is another one; no build is needed',
      source,
    )
    .option('--config <NAME=version>', 'use this version of a config name; may be given for each', chosenVersion, {})
    .option('--note <TEXT>', 'a line that the release keeps', note)
    .addHelpText(
      'after',
      example(
        'pinion --env production release --note "new checkout"',
        'pinion --env production release --config GREETING=3',
        'pinion --env production release --from staging:7',
      ),
    )
    .action(async ({ from, ...chosen }: Options, verb: Command) => {
      const env = envOf(verb);
      const [{ createClients }, { promote }, { release }, { readSettings }] = await Promise.all([
        import('../aws.ts'),
        import('../release/promote.ts'),
        import('../release/release.ts'),
        import('../settings.ts'),
      ]);
      const [appDir, options] = [appDirOf(verb), { ...chosen, signal }];
      const released =
        from === undefined
          ? await release(appDir, env, await createClients(), options)
          : await promote({ app: (await readSettings(appDir)).app, env }, from, await createClients(), options);
      output.result({ verb: 'release', ...released });
    });

function source(given: string): From {
  const [, env, release, recordSha256] = /^([a-z][a-z0-9-]{0,31})(?::([1-9][0-9]{0,8})(?::([0-9a-f]{64}))?)?$/.exec(given) ?? [];
  if (env === undefined) throw new InvalidArgumentError('give ENV, ENV:N or ENV:N:SHA256, such as staging:7');
  return { env, release: release === undefined ? undefined : Number(release), recordSha256 };
}

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
