import { execFile } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import systemdNotify from 'systemd-notify';

/** What the service manager is told (sd_notify(3)); nothing where there is none. */
export type Notify = {
  /** Whether there is a service manager to tell. */
  readonly isOn: boolean;
  ready(): void;
  status(text: string): void;
  stopping(): void;
  /** Start or stop may take this long from now, beyond the unit's own limit. */
  extend(ms: number): void;
  watchdog(): void;
  /** How often `watchdog` is expected at the least; undefined when it is not. */
  readonly watchdogMs: number | undefined;
  /** Resolves when all is told, at the latest after `timeoutMs`. */
  end(timeoutMs: number): Promise<void>;
};

const run = promisify(execFile);
/** The tool itself waits 5 s for the service manager to have read a message (systemd: src/notify/notify.c). */
const toolMs = 10_000;
const attempts = 5;
const retryMs = 1_000;
/** With three bytes each, below the 4,096 bytes that a message may have (systemd: NOTIFY_BUFFER_MAX). */
const longestStatus = 1_000;

/**
 * By the tool `systemd-notify`, as Node has no datagram sockets of AF_UNIX: hence `NotifyAccess=all`. READY goes by the package of that name, which has no word
 * for the rest. Messages go one after the other; a later one of a kind replaces one that waits. The variables of the protocol are taken out of `env`, so that no child gets them. `onFailure` hears the first failure.
 */
export function createNotify(env: NodeJS.ProcessEnv, onFailure: (detail: string) => void): Notify {
  const { PATH, NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID = String(process.pid) } = env;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  const options = { env: { PATH, NOTIFY_SOCKET }, timeout: toolMs, killSignal: 'SIGKILL' } as const;
  const waiting = new Map<string, string>();
  let sending: Promise<void> | undefined;
  let hasFailed = false;

  const tell = (name: string, value: string) => {
    if (!NOTIFY_SOCKET) return;
    waiting.delete(name);
    waiting.set(name, value);
    sending ??= send();
  };
  async function send(): Promise<void> {
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      waiting.delete(next[0]);
      for (let attempt = 1; !(await isSent(next.join('='))) && attempt < attempts; attempt++) await wait(retryMs, undefined, { ref: false });
    }
    sending = undefined;
  }
  async function isSent(message: string): Promise<boolean> {
    try {
      await (message === 'READY=1' ? tellReady(NOTIFY_SOCKET) : run('systemd-notify', [message], options));
      return true;
    } catch (thrown) {
      const { code, signal, stderr } = thrown as { code?: unknown; signal?: unknown; stderr?: string };
      if (!hasFailed) onFailure(`systemd-notify: ${stderr?.trim() || (code ?? signal ?? thrown)}`);
      hasFailed = true;
      // Without the tool nothing can be told.
      return code === 'ENOENT';
    }
  }

  const isWatched = NOTIFY_SOCKET && WATCHDOG_PID === String(process.pid) && Number(WATCHDOG_USEC) > 0;
  return {
    isOn: Boolean(NOTIFY_SOCKET),
    ready: () => tell('READY', '1'),
    status: (text) =>
      tell(
        'STATUS',
        text
          .toWellFormed()
          .replace(/\p{Cc}+/gu, ' ')
          .slice(0, longestStatus),
      ),
    stopping: () => tell('STOPPING', '1'),
    extend: (ms) => tell('EXTEND_TIMEOUT_USEC', String(Math.round(ms * 1000))),
    watchdog: () => tell('WATCHDOG', '1'),
    watchdogMs: isWatched ? Number(WATCHDOG_USEC) / 1000 : undefined,
    async end(timeoutMs) {
      const deadline = new AbortController();
      await Promise.race([sending, wait(timeoutMs, undefined, { signal: deadline.signal }).catch(() => {})]);
      deadline.abort();
    },
  };
}

/** The package starts the tool with the environment that the process has at that moment. */
async function tellReady(NOTIFY_SOCKET: string | undefined): Promise<void> {
  requireDescriptors();
  process.env.NOTIFY_SOCKET = NOTIFY_SOCKET;
  const told = systemdNotify({ ready: true });
  delete process.env.NOTIFY_SOCKET;
  const deadline = new AbortController();
  const late = wait(toolMs, undefined, { signal: deadline.signal }).then(() => Promise.reject(new Error(`no end within ${toolMs} ms`)));
  await Promise.race([told, late]).finally(() => deadline.abort());
}

/** Throws EMFILE where the pipes of a tool have no room: the package would not hear of it, and the process would end. */
function requireDescriptors(): void {
  const taken: number[] = [];
  try {
    while (taken.length < 8) taken.push(openSync('/dev/null', 'r'));
  } finally {
    for (const descriptor of taken) closeSync(descriptor);
  }
}
