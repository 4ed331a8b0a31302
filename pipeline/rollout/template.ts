import { createHash } from 'node:crypto';
import {
  CreateLaunchTemplateVersionCommand,
  DescribeLaunchTemplateVersionsCommand,
  type EC2Client,
  type LaunchTemplateVersion,
  type ResponseLaunchTemplateData,
} from '@aws-sdk/client-ec2';
import { Failure } from '../../contract/causes.ts';
import { firstProblem } from '../../contract/document.ts';
import type { ReleaseNumber, Sha256 } from '../../contract/names.ts';
import { type UserData, userDataSchema } from '../../contract/user-data.ts';
import { ask } from '../aws.ts';

/** One version of the launch template. */
export type TemplateVersion = {
  readonly number: number;
  readonly imageId: string | undefined;
  /** All but its user data, spelled so that equal data are equal texts. */
  readonly data: string;
  /** Its user data as text, `''` for none. */
  readonly userData: string;
  /** What its user data names, if it is ours and names a release. */
  readonly release: { readonly number: ReleaseNumber; readonly recordSha256: Sha256 } | undefined;
};

/** A version by its number, `$Default` or `$Latest`; undefined where it does not exist. Throws AWS_*. */
export async function readTemplateVersion(ec2: EC2Client, templateId: string, version: string, signal: AbortSignal): Promise<TemplateVersion | undefined> {
  const command = new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId: templateId, Versions: [version] });
  const answer = await ask('DescribeLaunchTemplateVersions', `${templateId}:${version}`, () => ec2.send(command, { abortSignal: signal })).catch((thrown) => {
    if (/^InvalidLaunchTemplateId\.|^InvalidLaunchTemplateName\.NotFound/.test(thrown?.cause?.name ?? '')) return undefined;
    throw thrown;
  });
  const [found] = answer?.LaunchTemplateVersions ?? [];
  return found && versionOf(found);
}

function versionOf({ VersionNumber: number = 0, LaunchTemplateData: all = {} }: LaunchTemplateVersion): TemplateVersion {
  const { UserData: encoded = '', ...data } = all;
  const userData = Buffer.from(encoded, 'base64').toString();
  return { number, imageId: data.ImageId, data: spell(data), userData, release: releaseIn(userData) };
}

function releaseIn(text: string): TemplateVersion['release'] {
  try {
    const value = JSON.parse(text) as UserData;
    return firstProblem(userDataSchema, value) === undefined && value.release !== undefined
      ? { number: value.release, recordSha256: value.recordSha256 }
      : undefined;
  } catch {
    return undefined;
  }
}

const spell = (data: ResponseLaunchTemplateData): string =>
  JSON.stringify(data, (_, value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );

/**
 * Makes the version that boots a release: the base version with this user data. Asked again for the same, EC2 gives the version it made before
 * (ClientToken: EC2 Developer Guide, "Ensuring idempotency"). Throws TEMPLATE_MISSING, AWS_*.
 */
export async function createTemplateVersion(
  ec2: EC2Client,
  templateId: string,
  base: TemplateVersion,
  userData: UserData,
  signal: AbortSignal,
): Promise<number> {
  const text = JSON.stringify(userData);
  const command = new CreateLaunchTemplateVersionCommand({
    LaunchTemplateId: templateId,
    SourceVersion: String(base.number),
    LaunchTemplateData: { UserData: Buffer.from(text).toString('base64') },
    VersionDescription: `release ${userData.release} on base version ${base.number}`,
    ClientToken: createHash('sha256').update(`${templateId} ${base.number} ${base.data} ${text}`).digest('hex').slice(0, 64),
  });
  const answer = await ask('CreateLaunchTemplateVersion', templateId, () => ec2.send(command, { abortSignal: signal }));
  const number = answer.LaunchTemplateVersion?.VersionNumber;
  if (number === undefined) throw new Failure('TEMPLATE_MISSING', { template: templateId, version: base.number });
  return number;
}
