/** Shorter values would blank out ordinary words. */
const shortestSecret = 6;

/** A function that replaces every value of `config`, and every line of one that has several, in a text by `[NAME]`, longest first. */
export function createScrub(config: ReadonlyMap<string, string>): (text: string) => string {
  const parts = [...config].flatMap(([name, value]) => [value, ...value.split(/\r?\n/), ...words(name, value)].map((part) => [name, part] as const));
  const secrets = parts.filter(([, value]) => value.length >= shortestSecret).sort(([, a], [, b]) => b.length - a.length);
  return (text) => secrets.reduce((scrubbed, [name, value]) => scrubbed.replaceAll(value, `[${name}]`), text);
}

/** gunicorn quotes the arguments in this variable one by one when it refuses them. */
const words = (name: string, value: string): string[] => (name === 'GUNICORN_CMD_ARGS' ? value.split(/[\s=]+/) : []);
