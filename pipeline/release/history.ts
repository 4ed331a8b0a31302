import type { ReleaseNumber, Sha256 } from '../../contract/names.ts';
import type { Stored } from './read.ts';

/** A config name whose version differs from the release before; without `version` it is gone, without `before` it is new. */
export type ConfigChange = { readonly name: string; readonly version?: number; readonly before?: number };
export type HistoryEntry = { readonly release: ReleaseNumber; readonly recordSha256: Sha256; readonly labels: readonly string[] } & (
  | {
      readonly createdAt: string;
      readonly createdBy: string;
      readonly commit: string;
      /** Of the artifact. */
      readonly sha256: Sha256;
      /** Undefined when no record before it is kept. */
      readonly changes: readonly ConfigChange[] | undefined;
      readonly note: string;
    }
  | { readonly problem: string }
);

/** What each release changed of config, in the order of `stored`: newest first. Pure. */
export const historyOf = (stored: readonly Stored[]): readonly HistoryEntry[] =>
  stored.map(({ release, recordSha256, labels, ...rest }, at) => {
    const entry = { release, recordSha256, labels };
    if ('problem' in rest) return { ...entry, problem: `is not a release record at ${rest.problem.path}: ${rest.problem.problem}` };
    const { createdAt, createdBy, commit, artifact, config, note } = rest.record;
    const before = stored.slice(at + 1).find((older) => 'record' in older)?.record.config ?? (release === 1 ? {} : undefined);
    return { ...entry, createdAt, createdBy, commit, sha256: artifact.sha256, changes: before && configChanges(before, config), note };
  });

type Versions = Readonly<Record<string, number>>;

export function configChanges(before: Versions, after: Versions): readonly ConfigChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name) => {
    const [was, is] = [before[name], after[name]];
    return was === is ? [] : [{ name, ...(is === undefined ? {} : { version: is }), ...(was === undefined ? {} : { before: was }) }];
  });
}
