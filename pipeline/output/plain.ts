import { printable } from '../../contract/artifact-path.ts';
import { causeLine } from '../../contract/causes.ts';
import type { Progress } from '../progress.ts';
import type { HistoryEntry } from '../release/history.ts';
import type { Outcome } from '../rollout/outcomes.ts';
import { changeText } from './change-text.ts';
import type { Output, Result } from './output.ts';
import { deployedLine, plannedLines, rolloutLine, statusLines } from './rollout-lines.ts';

type Stream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** A line as it may be shown: what others wrote in it moves no cursor and rings no bell. */
const safe = (line: string): string => line.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);

/** Plain lines: progress and the cause line on stderr, the result alone on stdout. On a terminal the state of a rollout is one live last line. */
export function plainOutput(stdout: Stream, stderr: Stream): Output {
  let last = '';
  const clear = () => {
    if (stderr.isTTY && last !== '') stderr.write('\r\x1b[K');
  };
  return {
    progress: (event) => void stderr.write(`${safe(progressLine(event))}\n`),
    rollout(event) {
      const line = safe(rolloutLine(event));
      if (event.event !== 'progress') {
        clear();
        stderr.write(`${line}\n`);
        // A terminal's live line comes back with the next look.
        if (stderr.isTTY) last = '';
      } else if (stderr.isTTY) {
        clear();
        stderr.write(line.slice(0, (stderr.columns ?? 80) - 1));
        last = line;
      } else if (line !== last) {
        stderr.write(`${line}\n`);
        last = line;
      }
    },
    result: (result) => {
      clear();
      // A value goes out as it is, so that a file takes exactly its bytes; a terminal gets the line end it needs.
      if (result.verb === 'config get') stdout.write(result.value + (stdout.isTTY ? '\n' : ''));
      else stdout.write(`${resultLines(result).map(safe).join('\n')}\n`);
    },
    failure(report) {
      clear();
      stderr.write(`${safe(causeLine(report))}\n`);
    },
  };
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** One line for each thing a verb says while it works. */
export function progressLine(event: Progress): string {
  switch (event.event) {
    case 'interpreter':
      return `Python ${event.version} at ${event.path}`;
    case 'fetching':
      return `fetching the wheels of ${event.file}`;
    case 'wheels':
      return `${event.count} wheels, ${event.packed} of them new`;
    case 'ignored':
      return `note: git ignores ${event.first}${event.count === 1 ? '' : ` and ${event.count - 1} more`}: left out, unless generated in [tool.pinion] names it`;
    case 'uncompiled':
      return `note: ${event.path} does not compile; it goes in as it is`;
    case 'archiving':
      return `archiving ${event.files} files, ${megabytes(event.unpackedBytes)}`;
    case 'publishing':
      return `publishing ${megabytes(event.sizeBytes)} to ${event.object}`;
  }
}

function resultLines(result: Exclude<Result, { verb: 'config get' }>): readonly string[] {
  switch (result.verb) {
    case 'build':
      return [`built ${result.sha256} (${megabytes(result.sizeBytes)}, Python ${result.manifest.python}, commit ${result.commit})`];
    case 'publish':
      return [`${result.already ? 'already published' : 'published'} s3://${result.bucket}/${result.key} version ${result.versionId}`];
    case 'config set':
      return [
        `${result.name} ${result.unchanged ? 'is unchanged at' : 'is now'} version ${result.version} (${result.type})`,
        ...(result.endsWithNewline ? ['note: the value ends with a line end; --trim leaves it out'] : []),
      ];
    case 'config list': {
      const width = Math.max(0, ...result.config.map(({ name }) => name.length), ...result.missing.map((name) => name.length));
      return [
        ...result.config.map(({ name, type, version, changedAt }) =>
          `${name.padEnd(width)}  ${type.padEnd(12)}  version ${version}  ${changedAt ?? ''}`.trimEnd(),
        ),
        ...result.missing.map((name) => `${name.padEnd(width)}  missing in ${result.env}`),
        ...(width === 0 ? ['the app names no config'] : []),
      ];
    }
    case 'release':
      return [
        `release ${result.release} of ${result.record.app} in ${result.record.env}`,
        `artifact ${result.record.artifact.sha256}, commit ${result.record.commit}`,
        ...Object.entries(result.record.config).map(([name, version]) => `config ${name} version ${version}`),
        ...(result.record.note === '' ? [] : [`note ${printable(result.record.note)}`]),
        `record sha256 ${result.recordSha256}`,
      ];
    case 'history': {
      const oldest = result.releases.at(-1)?.release;
      if (oldest === undefined) return [`no release of ${result.app} in ${result.env} yet`];
      const gone = oldest === 1 ? [] : ['earlier ones are gone: Parameter Store keeps 100 versions'];
      return [...result.releases.flatMap((entry) => historyLines(entry)), ...gone];
    }
    case 'deploy':
      return 'plan' in result ? plannedLines(result) : [deployedLine(result)];
    case 'rollback':
    case 'wait':
      return [deployedLine(result)];
    case 'status':
      return statusLines(result);
    case 'init':
      return [
        `wrote [tool.pinion] of ${result.app} (${result.entryPoint}, Python ${result.python}) into ${result.file}`,
        ...result.next.map((step) => `next: ${step}`),
      ];
    case 'doctor':
      return result.checks.map(({ check, problem }) => (problem === undefined ? `ok    ${check}` : `WRONG ${check}: ${problem}`));
    case 'smoke':
      return [`release ${result.release} passed smoke: ${result.detail}`];
    case 'explain':
      if (result.about === 'one') return [`${result.cause} (${result.kind})`, `  ${result.sentence}`, `  Next: ${result.next}`];
      return result.groups.flatMap(({ group, causes }) => [group, ...causes.map((cause) => `  ${cause}`)]);
  }
}

const whenText = (iso: string): string => iso.replace('T', ' ').replace(/\.\d+/, '');

/** A release in one line, then its note and what it changed of config. Records are anybody's words, so they are made printable. */
function historyLines(entry: HistoryEntry & { readonly outcome?: Outcome | undefined }): readonly string[] {
  const number = String(entry.release).padStart(4);
  const labels = entry.labels.map((label) => `  ${label}`).join('');
  if ('problem' in entry) return [`${number}  ${printable(entry.problem)}${labels}`];
  const { createdAt, createdBy, commit, sha256, changes = [], note } = entry;
  return [
    `${number}  ${whenText(createdAt)}  artifact ${sha256.slice(0, 12)}  commit ${printable(commit.replace(/^([0-9a-f]{12})[0-9a-f]+/, '$1'))}  by ${printable(createdBy)}${labels}`,
    ...(note === '' ? [] : [`      note ${printable(note)}`]),
    ...(entry.outcome === undefined
      ? []
      : [`      last deploy ${entry.outcome.status}${entry.outcome.at === undefined ? '' : ` ${whenText(entry.outcome.at)}`}`]),
    ...(changes.length === 0 ? [] : [`      config ${changes.map(changeText).join(', ')}`]),
  ];
}
