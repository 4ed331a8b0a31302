import { Failure } from '../../contract/causes.ts';
import { firstProblem, type Problem } from '../../contract/document.ts';
import { type ReleaseRecord, recordLimitBytes, recordSchema } from '../../contract/release.ts';

const artifactKeys = ['bucket', 'key', 'versionId', 'sha256', 'sizeBytes', 'unpackedBytes', 'files'] as const;

/**
 * The bytes of a record, as text: its keys in the schema's order, config names sorted, no space. Pure; throws RECORD_TOO_LARGE, and
 * INTERNAL_ERROR for a record that no agent would take.
 */
export function recordText(record: ReleaseRecord): string {
  const problem = firstProblem(recordSchema, record);
  if (problem !== undefined) throw new Failure('INTERNAL_ERROR', { detail: `the release record is not valid at ${problem.path}: ${problem.problem}` });
  const ordered = Object.fromEntries(recordSchema.required.map((key) => [key, record[key]]));
  const artifact = Object.fromEntries(artifactKeys.map((key) => [key, record.artifact[key]]));
  const config = Object.fromEntries(Object.entries(record.config).sort(([a], [b]) => (a < b ? -1 : 1)));
  // Parameter Store refuses {{…}}; outside of a string JSON has no two braces that open.
  const text = JSON.stringify({ ...ordered, artifact, config }).replaceAll('{{', '{\\u007b');
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > recordLimitBytes) throw new Failure('RECORD_TOO_LARGE', { sizeBytes, limitBytes: recordLimitBytes });
  return text;
}

/** The record in a version of the release parameter of `place`, or what keeps it from being one. Pure. */
export function parseRecord(
  text: string,
  place: { readonly app: string; readonly env: string },
): { readonly record: ReleaseRecord } | { readonly problem: Problem } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: { path: '/', problem: 'is not JSON' } };
  }
  const problem = firstProblem(recordSchema, value);
  if (problem !== undefined) return { problem };
  const record = value as ReleaseRecord;
  if (record.app !== place.app || record.env !== place.env) return { problem: { path: '/env', problem: `it belongs to ${record.app} in ${record.env}` } };
  return { record };
}
