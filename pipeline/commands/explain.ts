import type { Command } from 'commander';
import { type CauseCode, causeGroups, causes, Failure } from '../../contract/causes.ts';
import { type Cli, example } from './cli.ts';

export type Explanation =
  | { readonly about: 'one'; readonly cause: CauseCode; readonly kind: 'permanent' | 'transient'; readonly sentence: string; readonly next: string }
  | { readonly about: 'all'; readonly groups: readonly { readonly group: string; readonly causes: readonly string[] }[] };

export const addExplain = (program: Command, { output }: Cli): Command =>
  program
    .command('explain [CAUSE]')
    .description('say what a cause means and what to do; without one, list them all')
    .addHelpText('after', example('pinion explain ARTIFACT_DIGEST_MISMATCH'))
    .action((code: string | undefined) => output.result({ verb: 'explain', ...explain(code) }));

/** What a cause means, or the list of all by group. Throws CAUSE_UNKNOWN with the nearest code. */
export function explain(code: string | undefined): Explanation {
  if (code === undefined) return { about: 'all', groups: Object.entries(causeGroups).map(([group, rows]) => ({ group, causes: Object.keys(rows) })) };
  const asked = code.toUpperCase().replaceAll('-', '_');
  if (Object.hasOwn(causes, asked)) {
    const cause = asked as CauseCode;
    const { kind, says, next } = causes[cause];
    return { about: 'one', cause, kind, sentence: says, next };
  }
  const within = Object.keys(causes).filter((each) => each.includes(asked));
  const nearest = (within.length > 0 ? within : Object.keys(causes)).reduce((best, each) =>
    editDistance(asked, each) < editDistance(asked, best) ? each : best,
  );
  throw new Failure('CAUSE_UNKNOWN', { code, nearest });
}

/** Levenshtein: letters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [row, letter] of [...a].entries()) {
    const current = [row + 1];
    for (const [at, other] of [...b].entries()) {
      current.push(Math.min((current[at] ?? 0) + 1, (above[at + 1] ?? 0) + 1, (above[at] ?? 0) + (letter === other ? 0 : 1)));
    }
    above = current;
  }
  return above[b.length] ?? 0;
}
