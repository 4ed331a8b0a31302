import { headObject, objectName } from '../artifact/publish.ts';
import type { Clients } from '../aws.ts';
import { type Place, readConfigVersions } from '../config/parameters.ts';
import type { Released } from '../release/read.ts';

/** What is missing of all that a release names, in one line; undefined when an instance could boot it. Nothing is decrypted. Throws AWS_*. */
export async function bootProblem({ s3, ssm }: Clients, place: Place, { record }: Released, signal: AbortSignal): Promise<string | undefined> {
  const names = Object.keys(record.config);
  const [object, versions] = await Promise.all([
    headObject(s3, record.artifact, record.artifact.versionId, signal),
    readConfigVersions(ssm, place, names, record.config, signal),
  ]);
  const gone = names.filter((name) => !versions.has(name)).map((name) => `config ${name} version ${record.config[name]}`);
  if (object === undefined) gone.push(`the artifact ${objectName(record.artifact)} version ${record.artifact.versionId}`);
  else if (object.ContentLength !== record.artifact.sizeBytes) gone.push(`the artifact ${objectName(record.artifact)} in its size`);
  return gone.length === 0 ? undefined : `${gone.join(', ')} ${gone.length === 1 ? 'is' : 'are'} gone`;
}
