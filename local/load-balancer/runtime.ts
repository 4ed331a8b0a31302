import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

/** A server's row of HAProxy's statistics (management guide, "Statistics and monitoring", CSV format), the columns that are used. */
export type ServerRow = {
  /** `UP`, `UP 1/2`, `DOWN`, `DOWN 1/2`, `DRAIN`, `MAINT`, `no check`. */
  readonly status: string;
  /** Requests under way. */
  readonly requests: number;
  /** Of the last check: `L7OK`, `L7STS`, `L7TOUT`, `L4CON`, …; another life of the slot may have left it. */
  readonly checkStatus: string;
  /** HTTP status of the last check. */
  readonly checkCode: string;
  /** 0 after the server was set down; more from its first good check on. */
  readonly checkHealth: number;
};

/** One conversation with the Runtime API, all commands in order. Throws where it can't be reached. */
export async function ask(socketPath: string, commands: readonly string[]): Promise<string> {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  socket.end(`${commands.join('; ')}\n`);
  return text(socket);
}

/** The same for commands that answer nothing when they are obeyed. Throws with what HAProxy says instead. */
export async function order(socketPath: string, commands: readonly string[]): Promise<void> {
  const complaint = (await ask(socketPath, commands)).split('\n').find((line) => line !== '' && !isNote.test(line));
  if (complaint !== undefined) throw new Error(`HAProxy refuses ${commands.join('; ')}: ${complaint}`);
}

const isNote = /^(IP changed from|no need to change the addr)/;

/** Every server by `backend/server`. */
export async function readServers(socketPath: string): Promise<ReadonlyMap<string, ServerRow>> {
  const [header = '', ...lines] = (await ask(socketPath, ['show stat -1 4 -1'])).trim().split('\n');
  const columns = header.replace(/^# /, '').split(',');
  return new Map(
    lines.map((line) => {
      const cells = line.split(',');
      const cell = (column: string) => cells[columns.indexOf(column)] ?? '';
      const row: ServerRow = {
        status: cell('status'),
        requests: Number(cell('scur')),
        // `* ` is before it while a check is under way.
        checkStatus: cell('check_status').replace(/^\* /, ''),
        checkCode: cell('check_code'),
        checkHealth: Number(cell('check_health')),
      };
      return [`${cell('pxname')}/${cell('svname')}`, row] as const;
    }),
  );
}
