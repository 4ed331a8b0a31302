import { createHash } from 'node:crypto';
import { GetParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { Failure } from '../../contract/causes.ts';
import { firstProblem } from '../../contract/document.ts';
import { releasePath } from '../../contract/names.ts';
import { type Release, type ReleaseRecord, recordSchema } from '../../contract/release.ts';
import type { UserData } from '../../contract/user-data.ts';
import { serviceFailure } from '../aws.ts';
import { agentVersion } from '../version.ts';

/**
 * Reads the release that the user data names, by its exact version, in one call, and proves it: digest before parsing, schema, app and environment,
 * agent, platform. Throws RECORD_MISSING, RECORD_DIGEST_MISMATCH, RECORD_NEWER, RECORD_INVALID, RECORD_FOREIGN, AGENT_TOO_OLD, PLATFORM_MISMATCH,
 * SSM_THROTTLED, SSM_UNAVAILABLE, SSM_DENIED, CREDENTIALS_UNAVAILABLE.
 */
export async function readRelease(ssm: SSMClient, userData: UserData, signal: AbortSignal): Promise<Release> {
  const parameter = releasePath(userData);
  const version = userData.release;
  const value = await getVersion(ssm, parameter, version, signal);
  const sha256 = createHash('sha256').update(value, 'utf8').digest('hex');
  if (sha256 !== userData.recordSha256) throw new Failure('RECORD_DIGEST_MISMATCH', { parameter, version, found: sha256, expected: userData.recordSha256 });
  const record = parseRecord(value, parameter, version);
  const [found, expected] = [`${record.app}/${record.env}`, `${userData.app}/${userData.env}`];
  if (found !== expected) throw new Failure('RECORD_FOREIGN', { parameter, version, found, expected });
  if (isOlder(agentVersion, record.minAgent)) throw new Failure('AGENT_TOO_OLD', { parameter, version, needed: record.minAgent, found: agentVersion });
  if (record.platform !== hostPlatform) throw new Failure('PLATFORM_MISMATCH', { built: record.platform, host: hostPlatform });
  return { ...record, number: version, recordSha256: userData.recordSha256 };
}

/** Platform tag of this host as pip spells it, such as `linux_x86_64`. */
export const hostPlatform = `${process.platform}_${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch as string] ?? process.arch}`;

async function getVersion(ssm: SSMClient, parameter: string, version: number, signal: AbortSignal): Promise<string> {
  try {
    const command = new GetParameterCommand({ Name: `${parameter}:${version}`, WithDecryption: false });
    return (await ssm.send(command, { abortSignal: signal })).Parameter?.Value ?? '';
  } catch (thrown) {
    signal.throwIfAborted();
    const { name } = thrown as Error;
    if (name === 'ParameterNotFound' || name === 'ParameterVersionNotFound') throw new Failure('RECORD_MISSING', { parameter, version }, { cause: thrown });
    throw serviceFailure(thrown, { service: 'ssm', action: 'GetParameter', parameter });
  }
}

function parseRecord(value: string, parameter: string, version: number): ReleaseRecord {
  let record: unknown;
  try {
    record = JSON.parse(value);
  } catch (cause) {
    throw new Failure('RECORD_INVALID', { parameter, version, path: '/', problem: 'is not JSON' }, { cause });
  }
  const found = (record as { schemaVersion?: unknown } | null)?.schemaVersion;
  const known = recordSchema.properties.schemaVersion.const;
  if (typeof found === 'number' && found > known) throw new Failure('RECORD_NEWER', { parameter, version, found, known });
  const problem = firstProblem(recordSchema, record);
  if (problem !== undefined) throw new Failure('RECORD_INVALID', { parameter, version, ...problem });
  return record as ReleaseRecord;
}

/** Whether `version` comes before `other`; both are `major.minor.patch`. */
function isOlder(version: string, other: string): boolean {
  const [mine, theirs] = [version, other].map((text) => text.split('.').map((part) => Number.parseInt(part, 10)));
  for (const [index, number] of (theirs ?? []).entries()) {
    const difference = (mine?.[index] ?? 0) - number;
    if (difference !== 0) return difference < 0;
  }
  return false;
}
