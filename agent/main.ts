#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { asFailure, causeLine, Failure } from '../contract/causes.ts';
import { type BootProcess, startBoot } from './boot/child.ts';
import { claim } from './claim.ts';
import { readSettings } from './settings.ts';
import { agentVersion } from './version.ts';

const usage = `pinion-agent ${agentVersion}: boots the release that this instance's user data names, and serves it.

  pinion-agent run                     user data, Region and credentials from the instance metadata service
  pinion-agent run --user-data FILE    user data from a file; Region and credentials from the environment
  pinion-agent --version

SIGTERM and SIGINT drain and end it; once more shortens the drain.
Exit status: 0 drained; 1 it could not start (one line on stderr says why); 2 usage; 3 another agent has its folders.
`;

const { values, positionals } = readArguments();
if (values.version) {
  process.stdout.write(`${agentVersion}\n`);
} else if (values.help || positionals.length !== 1 || positionals[0] !== 'run') {
  process[values.help ? 'stdout' : 'stderr'].write(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  await run(values['user-data']);
}

async function run(userDataFile: string | undefined): Promise<void> {
  const consoleLine = (line: string) => process.stderr.write(`${line}\n`);
  // A stop may come before there is anything to stop.
  let early = 0;
  let stop = () => {
    early++;
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop());
  let boot: BootProcess | undefined;
  try {
    const settings = readSettings(process.env, userDataFile);
    await claim(settings.runtimeFolder);
    await claim(settings.stateFolder);
    // Before all the rest, so that the boot runs while the agent is loaded (60 ms).
    boot = startBoot(userDataFile);
    const [{ live }, { createLog }] = await Promise.all([import('./agent.ts'), import('./log.ts')]);
    await live(boot, settings, { log: createLog(), console: consoleLine }, (begin) => {
      stop = begin;
      for (; early > 0; early--) begin();
    });
    // The log is written synchronously; idle connections need not be waited for.
    process.exit(0);
  } catch (thrown) {
    await boot?.stop();
    const failure = asFailure(thrown);
    consoleLine(causeLine(failure.report));
    process.exit(failure.code === 'ALREADY_RUNNING' ? 3 : 1);
  }
}

function readArguments() {
  try {
    const options = { 'user-data': { type: 'string' }, version: { type: 'boolean' }, help: { type: 'boolean' } } as const;
    return parseArgs({ options, allowPositionals: true });
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    process.stderr.write(`${causeLine(new Failure('USAGE', { detail }).report)}\n`);
    return process.exit(2);
  }
}
