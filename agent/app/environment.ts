import { Failure } from '../../contract/causes.ts';

/** `NAME=value` and its NUL must fit MAX_ARG_STRLEN, 32 pages (Linux: include/uapi/linux/binfmts.h). */
const assignmentLimitBytes = 131_071;
/** systemd takes none of them (unichar_is_valid in src/basic/utf8.c): U+FDD0…U+FDEF and the last two of every plane. */
const nonCharacter = /\p{Noncharacter_Code_Point}/u;

/**
 * Variables in the format of systemd's EnvironmentFile, one a line, byte-exact through its parser (src/basic/env-file.c): inside double quotes
 * a backslash takes itself, `"`, `$` and the backtick back and everything else, newlines too, is literal. Throws CONFIG_UNDELIVERABLE with the name.
 */
export function environmentFile(variables: Iterable<readonly [name: string, value: string]>): string {
  let text = '';
  for (const [name, value] of variables) {
    const problem = undeliverable(name, value);
    if (problem !== undefined) throw new Failure('CONFIG_UNDELIVERABLE', { name, problem });
    text += `${name}="${value.replace(/[\\"$`]/g, '\\$&')}"\n`;
  }
  return text;
}

/** Why `value` cannot reach a process as the environment variable `name`, without quoting it; undefined when it can. */
export function undeliverable(name: string, value: string): string | undefined {
  if (value.includes('\0')) return 'it holds a NUL character';
  if (!value.isWellFormed()) return 'it holds half of a surrogate pair';
  if (nonCharacter.test(value)) return 'it holds a Unicode non-character';
  const sizeBytes = Buffer.byteLength(`${name}=${value}`);
  if (sizeBytes > assignmentLimitBytes) return `with its name it has ${sizeBytes} bytes; ${assignmentLimitBytes} are possible`;
  return undefined;
}

/** The variables of a text that `environmentFile` made: its exact inverse, no more of systemd's grammar. Throws INTERNAL_ERROR for any other text. */
export function parseEnvironmentFile(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  const line = /([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\$`]|\\[\\"$`])*)"\n/y;
  while (line.lastIndex < text.length) {
    const found = line.exec(text);
    if (found === null) throw new Failure('INTERNAL_ERROR', { detail: 'the environment file is not one that pinion wrote' });
    variables.set(found[1] ?? '', (found[2] ?? '').replace(/\\([\\"$`])/g, '$1'));
  }
  return variables;
}
