import { type Command, InvalidArgumentError } from 'commander';
import { type Cli, example } from './cli.ts';
import { openRollout } from './rollout.ts';

type Options = { readonly release?: number; readonly dryRun?: true; readonly despiteAlarm: readonly string[] };

export const addDeploy = (program: Command, cli: Cli): Command =>
  program
    .command('deploy')
    .description('roll a release out: replace every instance, smoke-test through the load balancer, and go back by itself if that fails')
    .option('--release <N>', 'this release in place of the newest', releaseNumber)
    .option('--dry-run', 'print the plan and what differs from what runs; change nothing')
    .option(
      '--despite-alarm <NAME>',
      'deploy although this alarm is not OK; may be given for each',
      (name: string, others: readonly string[]) => [...others, name],
      [],
    )
    .addHelpText('after', example('pinion --env production deploy', 'pinion --env production deploy --release 42 --dry-run'))
    .action(async ({ release, dryRun, despiteAlarm: despite }: Options, verb: Command) => {
      const [context, { deploy, plan }] = await Promise.all([openRollout(verb, cli), import('../rollout/deploy.ts')]);
      if (dryRun) cli.output.result({ verb: 'deploy', ...(await plan(context, { release, despite })) });
      else cli.output.result({ verb: 'deploy', ...(await deploy(context, { release, despite })) });
    });

export const addRollback = (program: Command, cli: Cli): Command =>
  program
    .command('rollback')
    .description('go back: undo the refresh that runs, else deploy the release that was live last, code and config together')
    .option('--to <N>', 'this release', releaseNumber)
    .addHelpText('after', example('pinion --env production rollback', 'pinion --env production rollback --to 41'))
    .action(async ({ to }: { readonly to?: number }, verb: Command) => {
      const [context, { rollback }] = await Promise.all([openRollout(verb, cli), import('../rollout/rollback.ts')]);
      cli.output.result({ verb: 'rollback', ...(await rollback(context, to)) });
    });

export const addWait = (program: Command, cli: Cli): Command =>
  program
    .command('wait')
    .description('attach to the deploy that is under way, whoever started it, and bring it to its end: smoke and the way back included')
    .addHelpText('after', example('pinion --env production wait'))
    .action(async (_: object, verb: Command) => {
      const [context, { attach }] = await Promise.all([openRollout(verb, cli), import('../rollout/attach.ts')]);
      cli.output.result({ verb: 'wait', ...(await attach(context)) });
    });

export function releaseNumber(given: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(given)) throw new InvalidArgumentError('give a release number, such as 42');
  return Number(given);
}
