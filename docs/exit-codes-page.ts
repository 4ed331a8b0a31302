import { exitCodes } from '../pipeline/exit-codes.ts';

/** The text of `docs/exit-codes.md`: each exit code of the CLI with its causes. */
export function exitCodesPage(): string {
  const rows = Object.entries(exitCodes).map(
    ([code, [says, causes]]) => `| ${code} | ${says} | ${causes.map((cause) => `[${cause}](causes.md#${cause.toLowerCase()})`).join(', ')} |`,
  );
  return `${intro}\n\n| code | what it says | causes |\n|---|---|---|\n${rows.join('\n')}\n\n${after}\n`;
}

const intro = `# Exit codes

<!-- Generated from pipeline/exit-codes.ts by \`npm run docs\`: do not edit. -->

Every verb of \`pinion\` ends with one of these. A deploy has one for each way it can end; \`wait\` ends as the deploy does that it attached to, and \`rollback\` as a deploy of the
earlier release. With \`--json\` the last line has the cause as well.`;

const after = `A cause that no row names ends with 1 where it is *transient*, with 3 where it is *permanent* ([causes](causes.md)). Nothing to do is 0, so that a pipeline that runs again
stays green; the line says so, and \`--json\` has \`"outcome":"nothing to do"\`.

\`pinion run\` passes the exit code of its command on; 125 is a release that could not be booted.`;
