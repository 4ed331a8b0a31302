import type { Command } from 'commander';
import { Failure } from '../../contract/causes.ts';
import { appDirOf, type Cli, envOf, example } from './cli.ts';
import { openRollout } from './rollout.ts';

export const addStatus = (program: Command, cli: Cli): Command =>
  program
    .command('status')
    .description('show what runs: each instance with its release, what the balancer says of it, and why one does not serve')
    .addHelpText('after', example('pinion --env production status'))
    .action(async (_: object, verb: Command) => {
      const env = envOf(verb);
      const [{ readSettings }, { createFleetClients }, { readFleetStatus }] = await Promise.all([
        import('../settings.ts'),
        import('../aws.ts'),
        import('../rollout/status.ts'),
      ]);
      const { app } = await readSettings(appDirOf(verb));
      cli.output.result({ verb: 'status', ...(await readFleetStatus(await createFleetClients(), { app, env }, new Date(), cli.signal)) });
    });

export const addSmoke = (program: Command, cli: Cli): Command =>
  program
    .command('smoke')
    .description('ask the paths of [tool.pinion.smoke] through the load balancer, as a deploy does before a release is live')
    .addHelpText('after', example('pinion --env production smoke'))
    .action(async (_: object, verb: Command) => {
      const [context, { readSituation }, { smoke }, { smokeOrder }] = await Promise.all([
        openRollout(verb, cli),
        import('../rollout/situation.ts'),
        import('../rollout/smoke.ts'),
        import('../rollout/follow.ts'),
      ]);
      const { infrastructure, group, saved } = await readSituation(context.clients, context.place, context.signal);
      const release = saved?.release?.number;
      if (release === undefined) throw new Failure('SMOKE_FAILED', { release: 'unknown', reason: 'what runs names no release' });
      const result = await smoke(smokeOrder(context, infrastructure, release, group), context.signal);
      if (!result.passed) throw new Failure('SMOKE_FAILED', { release, reason: result.detail });
      cli.output.result({ verb: 'smoke', release, ...result });
    });

export const addDoctor = (program: Command, cli: Cli): Command =>
  program
    .command('doctor')
    .description('examine all that a deploy and an instance rely on, without changing anything')
    .addHelpText('after', example('pinion --env production doctor'))
    .action(async (_: object, verb: Command) => {
      const [context, { examine }] = await Promise.all([openRollout(verb, cli), import('../rollout/doctor.ts')]);
      const checks = await examine(context);
      cli.output.result({ verb: 'doctor', checks });
      const found = checks.filter(({ problem }) => problem !== undefined).length;
      if (found > 0) throw new Failure('DOCTOR_FOUND', { count: found, all: checks.length });
    });
