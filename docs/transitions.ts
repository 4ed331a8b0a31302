import { defaultLimits } from '../agent/limits.ts';
import { type Effect, type Event, type Life, newLife, step } from '../agent/machine.ts';
import { Failure } from '../contract/causes.ts';

const app = { entryPoint: 'app:app', healthPath: '/healthz', gracefulTimeoutMs: 30_000, settleMs: 15_000, drainMs: 30_000 };
const passing = new Failure('PORT_IN_USE', { address: 'A', holder: 'H' });
const lasting = new Failure('INTERPRETER_MISSING', { interpreter: 'I', detail: 'D' });
const exit = (code: number): Event => ({ type: 'app-exited', exit: { code, signal: null }, tail: [], atMs: 0, chance: 0 });
const { probeRise, probeFall } = defaultLimits;

/** One of each thing that can happen, as a reader would name it. */
const events: Readonly<Record<string, Event>> = {
  booted: { type: 'booted', app },
  'boot failed': { type: 'boot-failed', report: lasting.report },
  'boot deadline': { type: 'timer', name: 'boot-deadline' },
  'gunicorn started': { type: 'app-started' },
  'start failed, may pass': { type: 'start-failed', failure: passing, chance: 0 },
  'start failed for good': { type: 'start-failed', failure: lasting, chance: 0 },
  'gunicorn ended': exit(1),
  'gunicorn ended for good, or too often': exit(4),
  'out of memory, too often': { type: 'oom-killed', atMs: 0 },
  [`good probe, the ${probeRise}nd in a row`]: { type: 'probed', isGood: true, detail: '' },
  [`bad probe, the ${probeFall}rd in a row`]: { type: 'probed', isGood: false, detail: '' },
  'time to start again': { type: 'timer', name: 'restart-due' },
  'start deadline': { type: 'timer', name: 'start-deadline' },
  'ready long enough': { type: 'timer', name: 'stable' },
  'unready too long': { type: 'timer', name: 'hung' },
  'balancer has noticed': { type: 'timer', name: 'settled' },
  'no connection left': { type: 'connections-gone' },
  'drain deadline': { type: 'timer', name: 'drain-deadline' },
  'kill deadline': { type: 'timer', name: 'kill-due' },
  stop: { type: 'stop' },
  'group or Spot ends it': { type: 'leave' },
};

const nameOf = ({ state, process, isLeaving }: Life): string => {
  if (state === 'stopped' && isLeaving) return 'stopped, stays';
  const gunicorn = { absent: 'no gunicorn', starting: 'gunicorn being started', running: 'gunicorn runs', ending: 'gunicorn told to end' }[process];
  return ['booting', 'ready', 'failed', 'stopped'].includes(state) ? state : `${state}, ${gunicorn}`;
};

/** A life in which the next event of this kind is the one that counts. */
const poised = (life: Life, event: Event): Life => {
  if (event.type === 'oom-killed') return { ...life, exitsMs: Array(defaultLimits.crashLoopCount - 1).fill(0) };
  return event.type === 'probed' ? { ...life, verdict: { isUp: !event.isGood, streak: (event.isGood ? probeRise : probeFall) - 1 } } : life;
};

const effectText = (effect: Effect): string | undefined => {
  switch (effect.do) {
    case 'probe':
      return effect.pace === 'none' ? 'stop probing' : `probe (${effect.pace})`;
    case 'set-timer':
      return `timer ${effect.name}`;
    case 'report':
      return 'tell the cause';
    default:
      return effect.do.replaceAll('-', ' ');
  }
};

/** Every transition of the machine, found by trying every event in every state that can be reached: the rows of a table. */
export function transitions(): readonly (readonly [state: string, event: string, next: string, effects: string])[] {
  const known = new Map<string, Life>([[nameOf(newLife), newLife]]);
  const rows: [string, string, string, string][] = [];
  // A map's iteration goes on into what is added on the way.
  for (const [from, life] of known) {
    for (const [name, event] of Object.entries(events)) {
      const { life: next, effects } = step(poised(life, event), event, defaultLimits);
      const to = nameOf(next);
      if (!known.has(to)) known.set(to, next);
      const isForgotten = life.state === 'ready' && name === 'ready long enough';
      if (to === from && effects.length === 0 && !isForgotten) continue;
      rows.push([from, name, to === from ? 'stays' : to, isForgotten ? 'earlier crashes are forgotten' : effects.map(effectText).join(', ')]);
    }
  }
  return rows;
}
