import { causeGroups } from '../contract/causes.ts';

/** The text of `docs/causes.md`: every cause under its group, with sentence, kind and next step. */
export function causesPage(): string {
  const groups = Object.entries(causeGroups).map(([group, rows]) =>
    [`## ${group}`, ...Object.entries(rows).map(([code, row]) => section(code, row))].join('\n\n'),
  );
  return `${[intro, ...groups].join('\n\n')}\n`;
}

const intro = `# Causes

<!-- Generated from contract/causes.ts by \`npm run docs\`: do not edit. -->

Every failure of pinion ends in one of these codes, and it is the same code everywhere: in \`/readyz\`, in the agent's log, on the one line that stderr gets,
and in what the CLI prints. \`pinion explain CODE\` prints an entry of this page. Words in braces are filled with the names involved, never with a
value of config.

A **transient** cause may pass: the agent tries again by itself, with growing, random waits, and the CLI ends with status 1, which says that trying again may help.
A **permanent** cause ends the work at once: trying again would change nothing.`;

type Row = { readonly kind: string; readonly says: string; readonly next: string };

const section = (code: string, { kind, says, next }: Row): string =>
  [`### ${code}`, `${capital(says.replace(/\{\w+\}/g, '`$&`'))}.`, `*${capital(kind)}.* Next step: ${next}.`].join('\n\n');

const capital = (text: string): string => `${text[0]?.toUpperCase()}${text.slice(1)}`;
