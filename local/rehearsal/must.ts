/** Ends a case that does not hold, with what was expected and what was met. */
export function must(holds: boolean, expected: string, met?: unknown): asserts holds {
  if (!holds) throw new Error(met === undefined ? expected : `${expected}; met ${JSON.stringify(met)}`);
}
