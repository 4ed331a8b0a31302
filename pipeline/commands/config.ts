import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import { Failure } from '../../contract/causes.ts';
import { configName } from '../../contract/names.ts';
import { valueLimitBytes } from '../config/value.ts';
import { appDirOf, type Cli, envOf, example } from './cli.ts';

type SetOptions = { readonly secret?: true; readonly file?: string; readonly trim?: true };

export function addConfig(program: Command, cli: Cli): Command {
  const config = program.command('config').description('set and show the config that the app names in [tool.pinion]');
  const { output, signal } = cli;

  config
    .command('set <NAME>')
    .description('set a value, read from stdin or a file, byte by byte; an equal value makes no new version')
    .allowExcessArguments()
    .option('--secret', 'keep it as a SecureString')
    .option('--file <FILE>', 'read the value from this file instead of stdin')
    .option('--trim', 'leave out one line end at the end of the value')
    .addHelpText(
      'after',
      example("printf %s 'Hello' | pinion --env production config set GREETING", 'pinion --env production config set SECRET_KEY --secret --file key.txt'),
    )
    .action(async (name: string, options: SetOptions, verb: Command) => {
      // Not in the sentence: what stands there instead of a name is likely the value.
      const detail = 'config set takes a name alone; the value comes from stdin or --file (one that was typed is in the history of the shell)';
      if (!new RegExp(configName.pattern).test(name) || verb.args.length > 1) throw new Failure('USAGE', { detail });
      const { names, place, ssm, parameters } = await open(verb);
      parameters.knownName(names, name);
      const whole = await given(options, signal);
      const bytes = options.trim ? trimmed(whole) : whole;
      const type = options.secret ? 'SecureString' : 'String';
      const set = await parameters.setConfig(ssm, place, names, { name, bytes, type }, signal);
      output.result({ verb: 'config set', ...set, endsWithNewline: bytes.at(-1) === 0x0a });
    });

  config
    .command('get <NAME>')
    .description('print one value')
    .option('--version <N>', 'this version in place of the newest', versionNumber)
    .addHelpText('after', example('pinion --env production config get GREETING'))
    .action(async (name: string, options: { version?: number }, verb: Command) => {
      const { names, place, ssm, parameters } = await open(verb);
      output.result({ verb: 'config get', ...(await parameters.getConfig(ssm, place, names, { name, version: options.version }, signal)) });
    });

  config
    .command('list')
    .description('show the type, newest version and date of every config name, never its value')
    .addHelpText('after', example('pinion --env production config list'))
    .action(async (_: object, verb: Command) => {
      const { names, place, ssm, parameters } = await open(verb);
      const found = await parameters.readConfigVersions(ssm, place, names, {}, signal);
      const missing = names.filter((name) => !found.has(name));
      output.result({ verb: 'config list', env: place.env, config: names.flatMap((name) => found.get(name) ?? []), missing });
    });
  return config;
}

/** What all three work on: the names the app asks for, and where they are kept. */
async function open(verb: Command) {
  const env = envOf(verb);
  const [{ readSettings }, { createClients }, parameters] = await Promise.all([
    import('../settings.ts'),
    import('../aws.ts'),
    import('../config/parameters.ts'),
  ]);
  const { app, config: names } = await readSettings(appDirOf(verb));
  const { ssm } = await createClients();
  return { names, place: { app, env }, ssm, parameters };
}

async function given({ file }: SetOptions, signal: AbortSignal): Promise<Buffer> {
  if (file !== undefined) {
    return beginning(createReadStream(file), signal).catch((cause: NodeJS.ErrnoException) => {
      throw new Failure('USAGE', { detail: `--file ${file} cannot be read: ${cause.code}` }, { cause });
    });
  }
  if (process.stdin.isTTY) throw new Failure('USAGE', { detail: 'give the value on stdin or with --file: typed at a terminal it would be seen' });
  return beginning(process.stdin, signal);
}

/** All of a value that may be set; of a larger one enough to see that it is, also without its line end. */
async function beginning(stream: Readable, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of addAbortSignal(signal, stream)) {
    chunks.push(chunk as Buffer);
    sizeBytes += (chunk as Buffer).length;
    if (sizeBytes > valueLimitBytes + 2) break;
  }
  return Buffer.concat(chunks);
}

function trimmed(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}

function versionNumber(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('give a whole number from 1');
  return Number(text);
}
