import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/** Lines on their way out. Writing never waits and never throws, whatever is behind the descriptor; what has no room is dropped as a whole line and counted. */
export type Output = {
  /** `onLost` is called if the line is dropped: at once when nothing reads or the disk is full, later when a pipe breaks. */
  write(line: string, onLost?: () => void): void;
  /** Lines dropped so far. */
  lost(): number;
  /** Resolves when every line is out, at the latest after `timeoutMs`. */
  end(timeoutMs: number): Promise<void>;
};

type Sink = { readonly waiting: () => number; put(text: string, onLost: () => void): void };

/** Characters that wait for a reader or for room on the disk. */
const longestWaiting = 1_048_576;
const retryMs = 20;
const pollMs = 5;

/** The output of stdout (1) or stderr (2). What is written while the other end takes it is in the kernel when `write` returns, and so survives a crash. */
export function openOutput(fd: 1 | 2): Output {
  const { waiting, put } = openSink(fd);
  let lost = 0;
  return {
    write(line, onLost = () => {}) {
      const lose = () => {
        lost++;
        onLost();
      };
      if (waiting() + line.length > longestWaiting) lose();
      else put(line, lose);
    },
    lost: () => lost,
    async end(timeoutMs) {
      for (const until = performance.now() + timeoutMs; waiting() > 0 && performance.now() < until; ) await wait(pollMs);
    },
  };
}

function openSink(fd: 1 | 2): Sink {
  const kind = fstatSync(fd);
  if (kind.isFIFO() || kind.isSocket()) return toStream(fd === 1 ? process.stdout : process.stderr);
  return toFile(kind.isCharacterDevice() ? unshared(fd) : fd);
}

/** A pipe or a socket. Node makes it non-blocking, and leaves its own stdout and stderr open when they break. */
function toStream(stream: NodeJS.WriteStream): Sink {
  // The callback of each write tells.
  stream.on('error', () => {});
  return { waiting: () => stream.writableLength, put: (text, onLost) => stream.write(text, (error) => error && onLost()) };
}

/** A file, or a device: what cannot be written now is tried again, so that a line that went half is whole in the end. */
function toFile(fd: number): Sink {
  let begun: Buffer = Buffer.alloc(0);
  let text = '';
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    const bytes = Buffer.concat([begun, Buffer.from(text)]);
    text = '';
    begun = bytes;
    try {
      begun = bytes.subarray(writeSync(fd, bytes));
    } catch {
      // ENOSPC, EAGAIN of a stopped terminal, EIO of one that is gone.
    }
    timer = begun.length > 0 ? setTimeout(flush, retryMs).unref() : undefined;
  };
  return {
    waiting: () => begun.length + text.length,
    put(line) {
      text += line;
      if (timer === undefined) flush();
    },
  };
}

/** A terminal can be stopped (^S). O_NONBLOCK belongs to the open file, which the shell shares (open(2)): one of our own, where /proc gives it. */
function unshared(fd: number): number {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return fd;
  }
}
