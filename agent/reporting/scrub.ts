/** Shorter values would blank out ordinary words. */
const shortestSecret = 6;
/** Of every form, what a line is searched for first: one expression for all, and few lines have it. */
const startLength = 12;

/** Replaces in a text every value by `[NAME]`. */
export type Scrub = { (text: string): string; readonly longest: number };

/**
 * A function that replaces every value of `config`, and every line of one that has several, by `[NAME]`, in each form it takes in output: as it is, inside
 * base64, URL-encoded, and escaped as by JSON and Python's repr. Values and lines shorter than 6 characters stay. `longest` is the length of the longest form.
 */
export function createScrub(config: ReadonlyMap<string, string>): Scrub {
  const values = [...config].flatMap(([name, value]) => [value, ...value.split(/\r?\n/)].map((part) => [name, part] as const));
  const named = values.filter(([, value]) => value.length >= shortestSecret).flatMap(([name, value]) => formsOf(value).map((form) => [form, name] as const));
  const forms = [...new Map(named)].sort(([a], [b]) => b.length - a.length);
  const starts = new Set(forms.map(([form]) => form.slice(0, startLength).replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')));
  const start = new RegExp([...starts].join('|'));
  const scrub = (text: string) => (start.test(text) ? forms.reduce((scrubbed, [form, name]) => scrubbed.replaceAll(form, `[${name}]`), text) : text);
  return Object.assign(scrub, { longest: forms[0]?.[0].length ?? 0 });
}

function formsOf(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1);
  // Python: urllib.parse.quote escapes all that it does not name safe, a slash only when asked; quote_plus writes a space as +.
  const url = encodeURIComponent(value.toWellFormed());
  const quoted = url.replace(/[!'()*]/g, (character) => `%${hex(character, 2).toUpperCase()}`);
  const repr = value.replace(/[\\\p{C}\p{Z}]/gu, (character) => (character === ' ' ? ' ' : escaped(character)));
  const ascii = repr.replace(/[^\0-\x7f]/gu, escaped);
  const bytes = Buffer.from(value)
    .toString('latin1')
    .replace(/[^ -[\]-~]/g, escaped);
  const python = [repr, ascii, bytes].flatMap((text) => [text, text.replaceAll("'", "\\'")]);
  const jsonAscii = json.replace(/[^ -~]/g, (unit) => `\\u${hex(unit, 4)}`);
  return [value, json, jsonAscii, url, quoted, quoted.replaceAll('%2F', '/'), quoted.replaceAll('%20', '+'), ...python, ...base64Of(Buffer.from(value))];
}

/** What a value is in base64 and base64url wherever it begins in the encoded text: the digits that hold its bits alone, at each of the three alignments. */
const base64Of = (bytes: Buffer): string[] =>
  [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]);
    return (['base64', 'base64url'] as const).map((code) => text.toString(code).slice(Math.ceil((before * 8) / 6), Math.floor((text.length * 8) / 6)));
  });

const hex = (character: string, digits: number) => (character.codePointAt(0) ?? 0).toString(16).padStart(digits, '0');

/** As Python writes a character that it does not print. */
function escaped(character: string): string {
  const short = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
  const code = character.codePointAt(0) ?? 0;
  return short ?? (code < 0x100 ? `\\x${hex(character, 2)}` : code < 0x10000 ? `\\u${hex(character, 4)}` : `\\U${hex(character, 8)}`);
}
