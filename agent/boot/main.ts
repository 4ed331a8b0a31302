import type { CauseReport } from '../../contract/causes.ts';
import { asFailure } from '../../contract/causes.ts';
import type { BootEvent } from '../../contract/events.ts';
import { createImds } from '../imds.ts';
import { readSettings } from '../settings.ts';
import { boot, type Host } from './boot.ts';
import { syncReleases } from './installed.ts';
import type { Launch } from './prepare.ts';

/** What the boot process tells the agent; the last one is how it ended. */
export type BootMessage = BootEvent | { readonly event: 'launch'; readonly launch: Launch } | ({ readonly event: 'boot-failed' } & CauseReport);

/** The boot as a program of its own: its memory and its parsers go with it. Arguments: the user data file, if there is one; or `--check`, which only loads all of it. */
const tell = (message: BootMessage) => process.send?.(message);
const stop = new AbortController();
// The agent is gone: nobody is left to boot for.
process.once('disconnect', () => process.exit(1));
const onSignal = () => stop.abort();
process.on('SIGTERM', onSignal);
// A terminal's ^C reaches this process too; the agent decides, and sends SIGTERM.
process.on('SIGINT', () => {});

try {
  if (process.argv[2] === '--check') {
    await Promise.all([import('../aws.ts'), import('@aws-sdk/client-s3'), import('@aws-sdk/client-ssm')]);
    process.exit(0);
  }
  const settings = readSettings(process.env, process.argv[2]);
  const { stateFolder, runtimeFolder, appFolder, interpreter, limits, userDataFile } = settings;
  const imds = userDataFile === undefined ? createImds(process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT, limits) : undefined;
  const aws = await import('../aws.ts');
  const host: Host = {
    identity: imds !== undefined ? { kind: 'imds', imds } : { kind: 'file', path: userDataFile as string },
    ...aws.createClients(imds, limits),
    stateFolder,
    runtimeFolder,
    appFolder,
    interpreter,
    bind: `${settings.bind}:${settings.trafficPort}`,
    credentialsPort: settings.credentialsPort,
  };
  tell({ event: 'launch', launch: await boot(host, limits, tell, stop.signal) });
  await syncReleases(stateFolder, stop.signal);
  process.exit(0);
} catch (thrown) {
  // An agent that stops its boot waits for no answer; to any other, the signal is the reason.
  if (stop.signal.aborted) {
    process.off('SIGTERM', onSignal);
    process.kill(process.pid, 'SIGTERM');
  }
  // Idle SDK connections would keep the process for seconds.
  process.send?.({ event: 'boot-failed', ...asFailure(thrown).report } satisfies BootMessage, () => process.exit(0));
}
