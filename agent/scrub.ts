/** Shorter values would blank out ordinary words. */
const shortestSecret = 6;

/** A function that replaces every value of `config` in a text by `[NAME]`, longest first. */
export function createScrub(config: ReadonlyMap<string, string>): (text: string) => string {
  const secrets = [...config].filter(([, value]) => value.length >= shortestSecret).sort(([, a], [, b]) => b.length - a.length);
  return (text) => secrets.reduce((scrubbed, [name, value]) => scrubbed.replaceAll(value, `[${name}]`), text);
}
