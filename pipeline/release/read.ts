import { createHash } from 'node:crypto';
import { GetParameterCommand, paginateGetParameterHistory, type SSMClient } from '@aws-sdk/client-ssm';
import { Failure } from '../../contract/causes.ts';
import type { Problem } from '../../contract/document.ts';
import { type ReleaseNumber, releasePath, type Sha256 } from '../../contract/names.ts';
import type { ReleaseRecord } from '../../contract/release.ts';
import { ask } from '../aws.ts';
import type { Place } from '../config/parameters.ts';
import { parseRecord } from './record.ts';

/** A release with its record, and the digest by which user data names it. */
export type Released = { readonly release: ReleaseNumber; readonly recordSha256: Sha256; readonly record: ReleaseRecord };
/** A version of the release parameter, whoever wrote it. */
export type Stored = { readonly release: ReleaseNumber; readonly recordSha256: Sha256; readonly labels: readonly string[] } & (
  | { readonly record: ReleaseRecord }
  | { readonly problem: Problem }
);

export const sha256Of = (text: string): Sha256 => createHash('sha256').update(text).digest('hex') as Sha256;

/** A release of an environment by its number, else the newest. Throws RELEASE_MISSING, RECORD_INVALID, AWS_*. */
export async function readRelease(ssm: SSMClient, place: Place, release: number | undefined, signal: AbortSignal): Promise<Released> {
  const parameter = releasePath(place);
  const Name = release === undefined ? parameter : `${parameter}:${release}`;
  const answer = await ask('GetParameter', Name, () => ssm.send(new GetParameterCommand({ Name }), { abortSignal: signal }).catch(unlessMissing));
  if (answer?.Parameter === undefined) throw new Failure('RELEASE_MISSING', { ...place, wanted: release === undefined ? 'release' : `release ${release}` });
  const { Value: text = '', Version: version = 0 } = answer.Parameter;
  const parsed = parseRecord(text, place);
  if ('problem' in parsed) throw new Failure('RECORD_INVALID', { parameter, version, ...parsed.problem });
  return { release: version as ReleaseNumber, recordSha256: sha256Of(text), record: parsed.record };
}

/** Every version that is kept of an environment's release parameter, newest first; none when there is no release yet. Throws AWS_*. */
export async function readReleases(ssm: SSMClient, place: Place, signal: AbortSignal): Promise<readonly Stored[]> {
  const parameter = releasePath(place);
  const stored: Stored[] = [];
  const read = async () => {
    for await (const page of paginateGetParameterHistory({ client: ssm }, { Name: parameter }, { abortSignal: signal })) {
      for (const { Value: text = '', Version: version = 0, Labels: labels = [] } of page.Parameters ?? []) {
        stored.push({ release: version as ReleaseNumber, recordSha256: sha256Of(text), labels, ...parseRecord(text, place) });
      }
    }
  };
  await ask('GetParameterHistory', parameter, () => read().catch(unlessMissing));
  return stored.sort((a, b) => b.release - a.release);
}

function unlessMissing(thrown: unknown): undefined {
  if (['ParameterNotFound', 'ParameterVersionNotFound'].includes((thrown as Error).name)) return undefined;
  throw thrown;
}
