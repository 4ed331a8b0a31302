import { pino } from 'pino';
import type { AgentEvent } from '../../contract/events.ts';
import type { Output } from './output.ts';

/** Writes every event as one JSON line to `output`. How many were lost is the first thing said when there is room again. */
export function createLog(output: Output): (event: AgentEvent) => void {
  let told = 0;
  const write = (line: string) => {
    const lines = output.lost() - told;
    told += lines;
    output.write(lines === 0 ? line : `${lostLine(lines)}\n${line}`, () => {
      told -= lines;
    });
  };
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, { write });
  return (event) => log[event.event === 'failed' ? 'error' : event.event === 'phase-retried' ? 'warn' : 'info'](event);
}

const lostLine = (lines: number) => JSON.stringify({ level: 40, time: new Date().toISOString(), ...({ event: 'log-lost', lines } satisfies AgentEvent) });
