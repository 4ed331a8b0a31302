import { createInterface } from 'node:readline';
import type { InsideProcess } from './inside.ts';
import { killTree } from './processes.ts';

/** A line of the journal; times are CLOCK_MONOTONIC of both guest and host, on the clock of `performance.now()`. */
export type Entry = {
  readonly message: string;
  readonly unit: string | undefined;
  /** As of syslog: 3 is an error, 4 a warning, 6 what a program prints. */
  readonly priority: number;
  readonly atMs: number;
  readonly fields: Readonly<Record<string, string>>;
};

type Of = {
  /** `pinion-app.service`; undefined for all. */
  readonly unit?: string;
  /** Of a LogNamespace; undefined for the system's own. */
  readonly namespace?: string;
};

export type Journal = {
  /** What was logged since the last boot, in order. */
  journal(of?: string | Of): Promise<readonly Entry[]>;
  /** Resolves with the first entry since the last boot that fits, past or to come. Throws after `timeoutMs`. */
  untilLogged(of: string | Of, fits: (entry: Entry) => boolean, timeoutMs?: number): Promise<Entry>;
};

type Ask = (command: readonly string[]) => Promise<string>;

export function journalOf(spawn: (command: readonly string[]) => InsideProcess, ask: Ask): Journal {
  return {
    async journal(of = {}) {
      const printed = await ask(journalctl(of));
      return printed.split('\n').filter(Boolean).map(entryOf);
    },
    async untilLogged(of, fits, timeoutMs = 60_000) {
      const child = spawn([...journalctl(of), '--follow', '--lines=all']);
      const timer = setTimeout(() => killTree(child.pid ?? 0), timeoutMs);
      try {
        for await (const line of createInterface({ input: child.stdout })) {
          const entry = entryOf(line);
          if (fits(entry)) return entry;
        }
        throw new Error(`nothing that fits was logged before ${timeoutMs} ms, or the guest, ended: ${JSON.stringify(of)}`);
      } finally {
        clearTimeout(timer);
        killTree(child.pid ?? 0);
      }
    },
  };
}

function journalctl(of: string | Of): string[] {
  const { unit, namespace } = typeof of === 'string' ? { unit: of } : of;
  const where = [...(unit === undefined ? [] : [`--unit=${unit}`]), ...(namespace === undefined ? [] : [`--namespace=${namespace}`])];
  return ['journalctl', '--boot', '--output=json', '--quiet', '--no-pager', '--all', ...where];
}

function entryOf(line: string): Entry {
  const fields = JSON.parse(line);
  const { MESSAGE, _SYSTEMD_UNIT, UNIT, PRIORITY, __MONOTONIC_TIMESTAMP } = fields;
  return {
    // Bytes that are not UTF-8 come as an array of numbers.
    message: Array.isArray(MESSAGE) ? Buffer.from(MESSAGE).toString() : String(MESSAGE ?? ''),
    unit: UNIT ?? _SYSTEMD_UNIT,
    priority: Number(PRIORITY ?? 6),
    atMs: onOurClock(Number(__MONOTONIC_TIMESTAMP)),
    fields,
  };
}

/** Microseconds of CLOCK_MONOTONIC, which guest and host share, on the clock of `performance.now()`. */
export const onOurClock = (usec: number): number => usec / 1_000 - Number(process.hrtime.bigint()) / 1e6 + performance.now();
