import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { readLines } from './lines.ts';

/** The lines that a unit writes to its journal namespace, as they come. */
export type JournalFollower = {
  /** Resolves when no line has come for a moment, at the latest after `mostMs`: what a process said last reaches the journal after its end. */
  quiet(mostMs: number): Promise<void>;
  stop(): void;
};

type Options = {
  readonly unit: string;
  readonly namespace: string;
  /** Where it is written down up to which line was read, so that the agent after a killed one goes on there. */
  readonly cursorFile: string;
  readonly onLine: (line: string) => void;
  /** journalctl ended or cannot be started; it is started again. Told once until it has read something. */
  readonly onTrouble: (detail: string) => void;
};

const quietMs = 50;
const againMs = 1_000;
const cursorEveryMs = 1_000;
/** journald cuts lines at 48 KB (journald.conf(5): LineMax=); as JSON each byte may take four characters. */
const longestEntry = 262_144;

type Entry = { readonly __CURSOR?: string; readonly MESSAGE?: string | readonly (number | string)[] | null };

/** Follows a journal namespace through journalctl: Node has no reader of journal files, and who restarts the agent must not lose a line. */
export function followJournal({ unit, namespace, cursorFile, onLine, onTrouble }: Options): JournalFollower {
  let cursor = keptCursor(cursorFile);
  let lastAtMs = 0;
  let child: ChildProcess | undefined;
  let again: NodeJS.Timeout | undefined;
  let isStopped = false;
  let isInTrouble = false;

  const read = (line: string) => {
    const { __CURSOR, MESSAGE } = entryOf(line);
    if (__CURSOR === undefined) return;
    lastAtMs = performance.now();
    isInTrouble = false;
    cursor = __CURSOR;
    onLine(messageOf(MESSAGE));
  };
  const start = () => {
    const from = cursor === undefined ? ['--no-tail'] : [`--after-cursor=${cursor}`, '--no-tail'];
    const args = [`--namespace=${namespace}`, '--follow', '--output=json', '--output-fields=MESSAGE', '--all', ...from, `_SYSTEMD_UNIT=${unit}`];
    const started = spawn('journalctl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    child = started;
    if (started.stdout !== null && started.stdout !== undefined) readLines(started.stdout, read, { longestLine: longestEntry });
    const ended = (detail: string) => {
      if (isStopped) return;
      if (!isInTrouble) onTrouble(`journalctl: ${detail}`);
      isInTrouble = true;
      again = setTimeout(start, againMs).unref();
    };
    started.once('error', (error: NodeJS.ErrnoException) => ended(error.code ?? error.message));
    started.once('exit', (code, signal) => ended(signal ?? `exit status ${code}`));
  };
  start();
  let written = cursor;
  const writing = setInterval(() => {
    if (cursor !== undefined && cursor !== written) keepCursor(cursorFile, cursor);
    written = cursor;
  }, cursorEveryMs).unref();

  return {
    async quiet(mostMs) {
      const startedAtMs = performance.now();
      while (performance.now() - startedAtMs < mostMs) {
        const leftMs = Math.max(startedAtMs, lastAtMs) + quietMs - performance.now();
        if (leftMs <= 0) return;
        await wait(leftMs);
      }
    },
    stop() {
      isStopped = true;
      clearTimeout(again);
      clearInterval(writing);
      child?.kill();
      if (cursor !== undefined) keepCursor(cursorFile, cursor);
    },
  };
}

/** What is not UTF-8 comes as a list of bytes, a field that was given twice as a list of texts (systemd: Journal Export Formats, JSON). */
function messageOf(message: Entry['MESSAGE']): string {
  if (typeof message === 'string') return message;
  const parts = message ?? [];
  return parts.some((part) => typeof part === 'string') ? parts.join(' ') : Buffer.from(parts as number[]).toString();
}

function entryOf(line: string): Entry {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

function keptCursor(file: string): string | undefined {
  try {
    const cursor = readFileSync(file, 'utf8');
    return /^[\x21-\x7e]{1,512}$/.test(cursor) ? cursor : undefined;
  } catch {
    return undefined;
  }
}

/** A line twice after a crash is better than a write for each. */
function keepCursor(file: string, cursor: string): void {
  try {
    writeFileSync(file, cursor);
  } catch {
    // The next one, or none: then lines come twice.
  }
}
