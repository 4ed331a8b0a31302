import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Failure } from '../../contract/causes.ts';
import { portHolder } from '../port.ts';
import type { Scrub } from '../reporting/scrub.ts';
import type { App, OnExit } from './app.ts';
import { controlGroup, watchControlGroup } from './control-group.ts';
import { followJournal, type JournalFollower } from './journal.ts';
import { childrenOf } from './process-group.ts';
import type { Exit } from './restart.ts';
import { readEnvironment, requireInterpreter, scrubOf } from './start-checks.ts';
import { createTail } from './tail.ts';
import { readUnitState, type UnitState, unitProperties } from './unit-state.ts';

const run = promisify(execFile);

/** systemctl waits for a job; a service of Type=exec is started, or not, within a moment. */
const systemctlMs = 40_000;
/** The last lines of a process come through journald, which has them a moment after its end. */
const lastWordsMs = 500;
/** PID 1 learns of an empty control group when the agent does, and takes a few milliseconds to say so. */
const settleMs = 2_000;
const settleStepMs = 5;

type Unit = {
  /** Such as `pinion-app.service`; its socket and its journal namespace have the same stem. */
  readonly unit: string;
  readonly interpreter: string;
  readonly environmentFile: string;
  readonly folder: string;
  readonly bind: { readonly host: string; readonly port: number };
  /** A run of the unit that began later than this (microseconds of CLOCK_MONOTONIC) is this release, and is adopted. */
  readonly preparedAtUs: number;
  readonly cursorFile: string;
  /** Names whose values are kept out of what its output becomes. */
  readonly configNames: readonly string[];
  readonly onLine: (line: string) => void;
  readonly onExit: OnExit;
  /** So many processes of the app were ended by the out-of-memory killer, since the last call. */
  readonly onOomKills: (count: number) => void;
  /** systemd or the journal could not be asked. */
  readonly onTrouble: (detail: string) => void;
};

/** One run of the unit that is being watched. */
type Run = { readonly pid: number; readonly startedAtUs: number; readonly group: ReturnType<typeof controlGroup>; readonly watch: { stop(): void } };

/**
 * gunicorn as a systemd unit, which outlives the agent. systemd holds an app that has ended (`Restart=always` with `RestartSec=infinity`), and its socket holds the clients,
 * until the agent starts it again: no connection starts it by itself. The rights for that are those of one polkit rule.
 */
export function createUnitApp({ unit, interpreter, environmentFile, folder, bind, preparedAtUs, cursorFile, configNames, ...told }: Unit): App {
  const { onLine, onExit, onOomKills, onTrouble } = told;
  const stem = unit.replace(/\.service$/, '');
  const tail = createTail();
  let current: Run | undefined;
  let oomKills = 0;
  let wasOutOfMemory = false;
  let wasKilled = false;
  let exit: Exit | undefined;
  let journal: JournalFollower | undefined;

  const followOutput = (scrub: Scrub) =>
    followJournal({
      unit,
      namespace: stem,
      cursorFile,
      onLine(line) {
        const clean = scrub(line);
        tail.add(clean);
        onLine(clean);
      },
      onTrouble,
    });

  const follow = (state: UnitState) => {
    const group = controlGroup(state.controlGroup);
    oomKills = group.oomKills() ?? 0;
    wasOutOfMemory = false;
    wasKilled = false;
    exit = undefined;
    const run: Run = { pid: state.pid, startedAtUs: state.startedAtUs, group, watch: watchControlGroup(state.controlGroup, () => look(run)) };
    current = run;
    // Not before the caller knows that it was started.
    setImmediate(() => look(run));
    return run.pid;
  };

  const countOomKills = ({ group }: Run) => {
    const kills = group.oomKills();
    if (kills === undefined || kills <= oomKills) return;
    wasOutOfMemory = true;
    onOomKills(kills - oomKills);
    oomKills = kills;
  };

  const look = (run: Run) => {
    if (run !== current) return;
    countOomKills(run);
    if (run.group.isPopulated()) return;
    current = undefined;
    run.watch.stop();
    void end(run);
  };

  const end = async (run: Run) => {
    const state = await settled(unit, run, onTrouble);
    // Somebody else has started it again meanwhile: then nobody knows how it ended, and systemd's way to end it is SIGTERM.
    const found: Exit = state === undefined || state.isActive ? { code: null, signal: 'SIGTERM' } : state.exit;
    exit = { ...found, wasKilled, ...(wasOutOfMemory && { wasOutOfMemory }) };
    if (exit.code !== null) await journal?.quiet(lastWordsMs);
    onExit(exit);
  };

  const command = (...args: readonly string[]) => void systemctl(...args).catch((thrown) => onTrouble(`systemctl ${args.join(' ')}: ${detailOf(thrown)}`));

  return {
    async start() {
      if (!existsSync(folder)) throw new Failure('TREE_MISSING', { path: folder });
      requireInterpreter(interpreter);
      // Not before it is known what to keep out of it.
      journal ??= followOutput(scrubOf(readEnvironment(environmentFile), configNames));
      const found = await stateOf(unit);
      if (found.isActive && found.startedAtUs > preparedAtUs) return { pid: follow(found), how: 'adopted' };
      tail.clear();
      try {
        await systemctl('restart', unit);
      } catch (thrown) {
        throw await startFailure(thrown, unit, `${stem}.socket`, bind);
      }
      return { pid: follow(await stateOf(unit)), how: 'started' };
    },
    terminate: () => command('kill', '--signal=SIGTERM', '--kill-whom=main', unit),
    kill() {
      wasKilled = true;
      command('kill', '--signal=SIGKILL', unit);
    },
    ended: () => exit,
    workers() {
      if (current === undefined) return [];
      const { pid } = current;
      look(current);
      return childrenOf(pid);
    },
    tail: tail.lines,
    // In this order: a connection that waits would start the service again. In a shutdown both are stopping, and wait for this process.
    async close() {
      await systemctl('stop', '--no-block', `${stem}.socket`, unit).catch((thrown) => onTrouble(`systemctl stop: ${detailOf(thrown)}`));
      journal?.stop();
    },
  };
}

const systemctl = (...args: readonly string[]) => run('systemctl', ['--no-ask-password', ...args], { timeout: systemctlMs, killSignal: 'SIGKILL' });

/** What systemd says of a unit. Throws APP_SPAWN_FAILED when it cannot be asked. */
export async function stateOf(unit: string): Promise<UnitState> {
  try {
    const { stdout } = await systemctl('show', `--property=${unitProperties.join(',')}`, unit);
    return readUnitState(stdout);
  } catch (cause) {
    throw new Failure('APP_SPAWN_FAILED', { detail: `systemctl show ${unit}: ${detailOf(cause)}` }, { cause });
  }
}

/** What systemd says once it knows that this run is over; undefined when it cannot be asked. */
async function settled(unit: string, { pid, startedAtUs }: Run, onTrouble: Unit['onTrouble']): Promise<UnitState | undefined> {
  for (const until = performance.now() + settleMs; performance.now() < until; await wait(settleStepMs)) {
    const state = await stateOf(unit).catch((thrown: Failure) => onTrouble(thrown.message));
    if (state === undefined) return undefined;
    if (state.pid !== pid || state.startedAtUs !== startedAtUs) return state;
  }
  return undefined;
}

/** Why systemd did not start it: the socket's port is taken, or in systemd's words. */
async function startFailure(thrown: unknown, unit: string, socket: string, bind: Unit['bind']): Promise<Failure> {
  const [service, listener] = await Promise.all([stateOf(unit), stateOf(socket)]);
  if (listener.result === 'resources') {
    const address = `${bind.host}:${bind.port}`;
    return new Failure('PORT_IN_USE', { address, holder: portHolder(bind.port) }, { cause: thrown });
  }
  const why = service.result === 'exit-code' ? `exit status ${service.exit.code}` : service.result;
  return new Failure('APP_SPAWN_FAILED', { detail: `${unit}: ${why === 'success' ? detailOf(thrown) : why}` }, { cause: thrown });
}

/** The first line that systemctl wrote, else how it ended. */
function detailOf(thrown: unknown): string {
  const { code, signal, stderr } = thrown as { code?: unknown; signal?: unknown; stderr?: string };
  return stderr?.trim().split('\n')[0] || String(code ?? signal ?? thrown);
}
