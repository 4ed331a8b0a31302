#!/usr/bin/env node
import { resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Command, CommanderError, Option } from 'commander';
import { asFailure, Failure } from '../contract/causes.ts';
import description from '../package.json' with { type: 'json' };
import { addBuild } from './commands/build.ts';
import type { Cli } from './commands/cli.ts';
import { addConfig } from './commands/config.ts';
import { addDeploy, addRollback, addWait } from './commands/deploy.ts';
import { addExplain } from './commands/explain.ts';
import { addHistory } from './commands/history.ts';
import { addInit } from './commands/init.ts';
import { addPublish } from './commands/publish.ts';
import { addRelease } from './commands/release.ts';
import { addRun } from './commands/run.ts';
import { addDoctor, addSmoke, addStatus } from './commands/status.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { jsonOutput } from './output/json.ts';
import { plainOutput } from './output/plain.ts';

const exitCodesText = `\nExit codes:\n${Object.entries(exitCodes)
  .map(([code, [says]]) => `  ${code.padEnd(5)}${says}`)
  .join('\n')}`;

function createProgram(cli: Cli, argv: readonly string[]): Command {
  const program = new Command('pinion')
    .description('Builds, publishes and releases a Flask app.')
    .addOption(
      new Option('--app-dir <DIR>', "the app's folder")
        .env('PINION_APP_DIR')
        .default(resolve('.'), 'this folder')
        .argParser((folder) => resolve(folder)),
    )
    .addOption(new Option('--env <ENV>', 'the environment').env('PINION_ENV'))
    .option('--json', 'one JSON line in place of text')
    .addHelpText('after', exitCodesText)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  // Only alone: `config get --version N` is something else.
  if (argv.length === 1) program.version(description.version);
  const verbs = [
    addInit,
    addBuild,
    addPublish,
    addConfig,
    addRelease,
    addDeploy,
    addStatus,
    addDoctor,
    addWait,
    addSmoke,
    addRollback,
    addRun,
    addHistory,
    addExplain,
  ];
  for (const add of verbs) add(program, cli);
  return program;
}

const unwritable: ReadonlySet<string> = new Set(['EACCES', 'EDQUOT', 'ENOSPC', 'ENOTDIR', 'EPERM', 'EROFS']);

function failureOf(thrown: unknown, stop: AbortSignal): Failure | undefined {
  if (stop.aborted) return thrown instanceof Failure && thrown.code === 'DETACHED' ? thrown : new Failure('INTERRUPTED', {}, { cause: thrown });
  if (!(thrown instanceof CommanderError)) {
    const { code = '', path = 'the disk' } = thrown as NodeJS.ErrnoException;
    return unwritable.has(code) ? new Failure('STATE_UNWRITABLE', { path, detail: code }, { cause: thrown }) : asFailure(thrown);
  }
  if (thrown.exitCode === 0) return undefined;
  // What stands behind a `=` may be a value of config; a sentence is one line.
  const message = thrown.message
    .replace(/^error: /, '')
    .replace(/=[^\s']*/g, '=…')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  const detail = thrown.code === 'commander.help' ? 'no verb is named' : message;
  return new Failure('USAGE', { detail }, { cause: thrown });
}

// A command is short: room for its young objects that grows with them costs 30 MiB and saves no time.
setFlagsFromString('--semi-space-growth-factor=1');

const interrupted = new AbortController();
// Only once: a second Ctrl-C ends it at once.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());

// Who reads may have seen enough: `pinion history | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const argv = process.argv.slice(2);
const output = argv.includes('--json') ? jsonOutput(process.stdout) : plainOutput(process.stdout, process.stderr);
try {
  await createProgram({ output, signal: interrupted.signal }, argv).parseAsync(argv, { from: 'user' });
} catch (thrown) {
  const failure = failureOf(thrown, interrupted.signal);
  if (failure !== undefined) {
    output.failure(failure.report);
    process.exitCode = exitCodeOf(failure);
  }
}
