#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { asFailure, causeLine, Failure } from '../contract/causes.ts';
import { type BootProcess, startBoot } from './boot/child.ts';
import { claim } from './claim.ts';
import { createNotify, type Notify } from './reporting/notify.ts';
import { openOutput } from './reporting/output.ts';
import { readSettings } from './settings.ts';
import { agentVersion } from './version.ts';

// Under an app's noise the heap grows by 30 MB, not by 90, for no more time (Node 26, 400 MB of lines).
setFlagsFromString('--optimize-for-size');

const usage = `pinion-agent ${agentVersion}: boots the release that this instance's user data names, and serves it.

  pinion-agent run                     user data, Region and credentials from the instance metadata service
  pinion-agent run --user-data FILE    user data from a file; Region and credentials from the environment
  pinion-agent exec --user-data FILE -- COMMAND
                                       boots that release and runs one command in it, with its config, in place of the app
  pinion-agent status [--json]         what the running agent says of itself
  pinion-agent check                   whether all of it can be loaded on this host; asks nobody
  pinion-agent --version

SIGTERM and SIGINT drain and end it; once more ends the app now, a third time kills it.
Exit status of exec: the command's; 125 the release could not be booted. Of the others: 0 drained, or the status is ready; 1 it could not start, or no agent answers (one line on stderr says why); 2 usage;
3 another agent has its folders; 4 the status is not ready.
`;

/** A reader that has stopped reading gets this long for the last lines. */
const lastWordsMs = 500;
const statusTimeoutMs = 5_000;
const { values, positionals } = readArguments();
if (values.version) {
  process.stdout.write(`${agentVersion}\n`);
} else if (positionals[0] === 'exec' && positionals.length > 1 && values['user-data'] !== undefined && !values.help) {
  await execute(values['user-data'], positionals.slice(1));
} else if (values.help || positionals.length !== 1 || !['run', 'status', 'check'].includes(positionals[0] ?? '')) {
  if (!values.help && positionals[0] !== undefined)
    process.stderr.write(`${causeLine(new Failure('USAGE', { detail: `no such command: ${positionals.join(' ')}` }).report)}\n`);
  process[values.help ? 'stdout' : 'stderr'].write(usage);
  process.exitCode = values.help ? 0 : 2;
} else if (positionals[0] === 'status') {
  await showStatus();
} else if (positionals[0] === 'check') {
  const { selfCheck } = await import('./self-check.ts');
  process.stdout.write(`${await selfCheck()}\n`);
} else {
  await run(values['user-data']);
}

async function run(userDataFile: string | undefined): Promise<void> {
  // So that `ps -C pinion-agent` finds it, and whoever asks for a holder of its folders or ports.
  process.title = 'pinion-agent';
  const [stdout, stderr] = [openOutput(1), openOutput(2)];
  const consoleLine = (line: string) => stderr.write(`${line}\n`);
  // A stop may come before there is anything to stop.
  let early = 0;
  let stop = () => {
    early++;
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop());
  // The app ends with this process; whoever reads the console gets the cause and no stack.
  process.on('uncaughtException', (thrown) => {
    consoleLine(causeLine(asFailure(thrown).report));
    process.exit(1);
  });
  let boot: BootProcess | undefined;
  let notify: Notify | undefined;
  let status = 0;
  try {
    const settings = readSettings(process.env, userDataFile);
    // On a host systemd starts one; an abstract socket could be taken by the app, which would keep every next agent out.
    if (settings.appUnit === undefined) for (const folder of [settings.runtimeFolder, settings.stateFolder]) await claim(folder);
    // First of all, as it takes systemd's variables out of what the boot process gets.
    notify = createNotify(process.env, (detail) => void loading.then(([, { createLog }]) => createLog(stdout)({ event: 'notify-failed', detail })));
    // Before the rest is loaded (60 ms), so that the boot runs meanwhile.
    const adopted = settings.appUnit === undefined ? undefined : await (await import('./boot/kept.ts')).adoptedBoot(settings);
    boot = adopted ?? startBoot(userDataFile, settings.limits);
    const loading = Promise.all([import('./agent.ts'), import('./reporting/log.ts')]);
    const [{ live }, { createLog }] = await loading;
    const log = createLog(stdout);
    await live(boot, settings, { log, console: consoleLine, lost: stdout.lost, notify }, (begin) => {
      stop = begin;
      for (; early > 0; early--) begin();
    });
  } catch (thrown) {
    await boot?.stop();
    const failure = asFailure(thrown);
    consoleLine(causeLine(failure.report));
    status = failure.code === 'ALREADY_RUNNING' ? 3 : 1;
  }
  await Promise.all([stdout, stderr, notify].map((words) => words?.end(lastWordsMs)));
  // Idle connections need not be waited for.
  process.exit(status);
}

async function execute(userDataFile: string, command: readonly string[]): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort());
  try {
    const [{ exec }, settings] = [await import('./exec.ts'), readSettings(process.env, userDataFile)];
    process.exit(await exec(userDataFile, command, settings, stop.signal));
  } catch (thrown) {
    process.stderr.write(`${causeLine(asFailure(thrown).report)}\n`);
    process.exit(1);
  }
}

async function showStatus(): Promise<void> {
  const { askStatus, statusText } = await import('./reporting/show-status.ts');
  try {
    const status = await askStatus(readSettings(process.env).runtimeFolder, statusTimeoutMs);
    process.stdout.write(values.json ? `${JSON.stringify(status)}\n` : statusText(status, Date.now()));
    process.exitCode = status.state === 'ready' && status.cause === undefined ? 0 : 4;
  } catch (thrown) {
    process.stderr.write(`${causeLine(asFailure(thrown).report)}\n`);
    process.exitCode = 1;
  }
}

function readArguments() {
  try {
    const options = { 'user-data': { type: 'string' }, json: { type: 'boolean' }, version: { type: 'boolean' }, help: { type: 'boolean' } } as const;
    return parseArgs({ options, allowPositionals: true });
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    process.stderr.write(`${causeLine(new Failure('USAGE', { detail }).report)}\n`);
    return process.exit(2);
  }
}
