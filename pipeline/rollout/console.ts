import { type EC2Client, GetConsoleOutputCommand } from '@aws-sdk/client-ec2';
import { type CauseCode, causes } from '../../contract/causes.ts';
import type { InstanceId } from '../../contract/names.ts';
import { ask } from '../aws.ts';

/** What an instance's agent said last on its console. */
export type HostCause = {
  readonly instance: InstanceId;
  readonly cause: CauseCode;
  readonly kind: 'permanent' | 'transient';
  /** The line without its prefix: sentence and next step. */
  readonly line: string;
};

/** The last cause line in a console's text. Pure. */
export function lastCause(instance: InstanceId, text: string): HostCause | undefined {
  for (const [, code = '', line = ''] of [...text.matchAll(/pinion: ([A-Z][A-Z0-9_]+): (.*?)\r?$/gm)].reverse()) {
    if (Object.hasOwn(causes, code)) return { instance, cause: code as CauseCode, kind: causes[code as CauseCode].kind, line };
  }
  return undefined;
}

/** The same by EC2, which keeps the last 64 KB; undefined where it has none yet, or forgot the instance. Throws AWS_*. */
export async function readHostCause(ec2: EC2Client, instance: InstanceId, signal: AbortSignal): Promise<HostCause | undefined> {
  const read = (Latest: boolean) => ec2.send(new GetConsoleOutputCommand({ InstanceId: instance, Latest }), { abortSignal: signal });
  const answer = await ask('GetConsoleOutput', instance, () =>
    read(true)
      // Latest is for Nitro instances alone (EC2 API Reference, GetConsoleOutput).
      .catch((thrown) => (thrown?.name === 'UnsupportedOperation' ? read(false) : Promise.reject(thrown)))
      .catch((thrown) => (/^InvalidInstanceID/.test(thrown?.name) ? undefined : Promise.reject(thrown))),
  );
  return lastCause(instance, Buffer.from(answer?.Output ?? '', 'base64').toString());
}
