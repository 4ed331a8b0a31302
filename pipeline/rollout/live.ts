import { LabelParameterVersionCommand } from '@aws-sdk/client-ssm';
import { Failure } from '../../contract/causes.ts';
import { releasePath } from '../../contract/names.ts';
import { ask } from '../aws.ts';
import type { Released } from '../release/read.ts';
import type { Context } from './context.ts';

/** Moves the label `live` to a release, and `previous` to the one that had it. A label is on one version (Parameter Store: labels). Throws AWS_*. */
export async function markLive({ clients, place, say, signal }: Context, { release }: Released, before: Released | undefined): Promise<void> {
  const Name = releasePath(place);
  const label = async (version: number, name: string) => {
    const command = new LabelParameterVersionCommand({ Name, ParameterVersion: version, Labels: [name] });
    const { InvalidLabels = [] } = await ask('LabelParameterVersion', `${Name}:${version}`, () => clients.ssm.send(command, { abortSignal: signal }));
    if (InvalidLabels.length > 0)
      throw new Failure('AWS_REFUSED', { action: 'LabelParameterVersion', resource: `${Name}:${version}`, detail: `the label ${name}` });
  };
  const previous = before !== undefined && before.release !== release ? before.release : undefined;
  if (previous !== undefined) await label(previous, 'previous');
  await label(release, 'live');
  say({ event: 'live', release, previous });
}
