import { pino } from 'pino';
import type { AgentEvent } from '../contract/events.ts';

/** Writes every event as one JSON line to stdout, synchronously: what was said before a crash is there after it. */
export function createLog(): (event: AgentEvent) => void {
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 1, sync: true }));
  return (event) => log[event.event === 'failed' ? 'error' : event.event === 'phase-retried' ? 'warn' : 'info'](event);
}
