import { createHash } from 'node:crypto';
import { GetParameterCommand, PutParameterCommand } from '@aws-sdk/client-ssm';
import { type ReleaseNumber, releasePath, type Sha256 } from '../../contract/names.ts';
import type { ReleaseRecord } from '../../contract/release.ts';
import type { UserData } from '../../contract/user-data.ts';
import type { Cloud } from './cloud.ts';

/** Writes a next record made of the one that `userData` names by `change`, past every check of the CLI, and gives the user data that names it. */
export async function putRecord(
  { clients }: Cloud,
  userData: UserData,
  change: (record: ReleaseRecord) => Promise<ReleaseRecord>,
): Promise<{ readonly userData: UserData }> {
  const Name = releasePath(userData);
  const { Parameter } = await clients.ssm.send(new GetParameterCommand({ Name: `${Name}:${userData.release}` }));
  const text = JSON.stringify(await change(JSON.parse(Parameter?.Value ?? '')));
  const { Version } = await clients.ssm.send(new PutParameterCommand({ Name, Value: text, Overwrite: true }));
  const recordSha256 = createHash('sha256').update(text).digest('hex') as Sha256;
  return { userData: { ...userData, release: Version as ReleaseNumber, recordSha256 } };
}
