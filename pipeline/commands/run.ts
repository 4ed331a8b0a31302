import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { constants as os, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { composeUserData } from '../../contract/infrastructure.ts';
import { appDirOf, type Cli, envOf, example } from './cli.ts';
import { releaseNumber } from './deploy.ts';

const agent = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));
const memory = '/dev/shm';

export const addRun = (program: Command, { signal }: Cli): Command =>
  program
    .command('run <COMMAND...>')
    .description(
      "run one command, such as a migration, in a release: its artifact and its pinned config, as an instance has them. The exit code is the command's",
    )
    .option('--release <N>', 'this release in place of the newest', releaseNumber)
    .addHelpText('after', example('pinion --env production run --release 42 -- python -m flask --app shop db upgrade'))
    .action(async (command: readonly string[], { release }: { readonly release?: number }, verb: Command) => {
      const env = envOf(verb);
      const [{ readSettings }, { createClients }, { readRelease }, { readInfrastructure }, { findInterpreter }] = await Promise.all([
        import('../settings.ts'),
        import('../aws.ts'),
        import('../release/read.ts'),
        import('../infrastructure.ts'),
        import('../artifact/interpreter.ts'),
      ]);
      const { app } = await readSettings(appDirOf(verb));
      const place = { app, env };
      const { ssm } = await createClients();
      const [infrastructure, found] = await Promise.all([
        readInfrastructure(ssm, place, ['autoScalingGroup', 'hooks', 'times'], signal),
        readRelease(ssm, place, release, signal),
      ]);
      const { path: interpreter } = await findInterpreter(found.record.python, process.env, signal);
      // Config is written there: not to a disk, where there is memory.
      const folder = await mkdtemp(join(isWritable(memory) ? memory : tmpdir(), 'pinion-run-'));
      try {
        const userData = join(folder, 'user-data.json');
        await writeFile(userData, JSON.stringify(composeUserData(place, infrastructure, found.release, found.recordSha256)));
        const folders = { STATE_DIRECTORY: join(folder, 'state'), RUNTIME_DIRECTORY: join(folder, 'run') };
        const child = spawn(process.execPath, [agent, 'exec', '--user-data', userData, '--', ...command], {
          stdio: 'inherit',
          env: { ...process.env, ...folders, PINION_PYTHON: interpreter, PINION_BIND: '127.0.0.1' },
        });
        // A terminal's ^C reaches the command by itself.
        signal.addEventListener('abort', () => child.kill('SIGTERM'));
        const [code, ended] = await once(child, 'close');
        process.exitCode = code ?? 128 + os.signals[ended as NodeJS.Signals];
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
