const ids = String.raw`[SFNT]\d\d(?:[,/ ]+[SFNT]\d\d)*`;

/** Ids of the faults that a test file's test names carry: `t.test('F11: …')`, `t.test('F20, F23: …')`. */
export const faultsOf = (source: string): string[] =>
  [...source.matchAll(new RegExp(`\\.test\\(\\s*['"\`](${ids}):`, 'g'))].flatMap(([, found]) => split(found));

/** Ids in the table of `docs/faults.md`, with what goes wrong. */
export const documentedFaults = (page: string): Map<string, string> =>
  new Map([...page.matchAll(/^\| ([SFNT]\d\d) \| (.+?) \|/gm)].map(([, id = '', wrong = '']) => [id, wrong]));

export type Result = 'passed' | 'FAILED' | 'skipped';

/** What one line of TAP says about faults; undefined when it is no test point that carries an id. */
export function resultOf(line: string): { readonly ids: string[]; readonly result: Result } | undefined {
  const [, not, found, directive] = new RegExp(`^\\s*(not )?ok \\d+ - (${ids}):.*?(?: # (SKIP|TODO)\\b.*)?$`, 'i').exec(line) ?? [];
  if (found === undefined) return undefined;
  return { ids: split(found), result: directive !== undefined ? 'skipped' : not === undefined ? 'passed' : 'FAILED' };
}

const split = (found = ''): string[] => found.split(/[,/ ]+/);
