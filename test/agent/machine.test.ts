import fc from 'fast-check';
import t from 'tap';
import { defaultLimits } from '../../agent/limits.ts';
import { type Effect, type Event, type Life, newLife, step, type TimerName } from '../../agent/machine.ts';
import { Failure } from '../../contract/causes.ts';

const app = { entryPoint: 'app:app', healthPath: '/healthz', gracefulTimeoutMs: 1000, settleMs: 300, drainMs: 5000 };
const good: Event = { type: 'probed', isGood: true, detail: 'status 200' };
const bad: Event = { type: 'probed', isGood: false, detail: 'status 500' };
const exitAt = (atMs: number, code: number | null = 1): Event => ({
  type: 'app-exited',
  exit: { code, signal: code === null ? 'SIGKILL' : null },
  tail: [],
  atMs,
  chance: 0.5,
});
const exit = exitAt(5);
const oomKilled = (atMs: number): Event => ({ type: 'oom-killed', atMs });
const booted: Event = { type: 'booted', app };
const started: Event = { type: 'app-started' };
const stop: Event = { type: 'stop' };
const leave: Event = { type: 'leave' };
const timer = (name: TimerName): Event => ({ type: 'timer', name });
const ready = [booted, started, good, good];

const said = (effect: Effect) => {
  if (effect.do === 'set-timer') return `${effect.name} in ${effect.afterMs}`;
  if (effect.do === 'probe') return `probe ${effect.pace}`;
  return effect.do === 'report' ? effect.report.cause : effect.do;
};
const run = (events: readonly Event[], from: Life = newLife) => {
  const effects: string[] = [];
  let life = from;
  for (const event of events) {
    const taken = step(life, event, defaultLimits);
    life = taken.life;
    effects.push(...taken.effects.map(said));
  }
  return { life, effects };
};

t.test('a good life: booted, started, two good probes, ready', async (t) => {
  const { life, effects } = run(ready);
  t.equal(life.state, 'ready');
  t.same(effects, ['start-app', 'start-deadline in 120000', 'probe starting', 'stable in 120000', 'probe steady']);
});

t.test('a boot that hangs as a whole is ended after its budget and a margin, which the user data may change', async (t) => {
  const { life, effects } = run([{ type: 'budget', ms: 300_000 }, { type: 'phase', phase: 'release' }, { type: 'budget', ms: 60_000 }, timer('boot-deadline')]);
  t.match(life, { state: 'failed', report: { cause: 'BOOT_TIMEOUT', sentence: /60000 ms, last in release/ } });
  t.same(effects, ['boot-deadline in 305000', 'boot-deadline in 65000', 'BOOT_TIMEOUT', 'stop-boot']);
  t.same(run([timer('boot-deadline')], run([booted]).life).effects, [], 'one that ended in time does not care');
});

t.test('S12: an app that exits is not ready at once, and waits for its restart', async (t) => {
  const { life, effects } = run([exitAt(5, null)], run(ready).life);
  t.match(life, { state: 'starting', process: 'absent', report: { cause: 'APP_EXITED', sentence: /SIGKILL/ } });
  t.same(effects, ['APP_EXITED', 'probe none', 'restart-due in 0']);
  t.same(run([timer('restart-due')], life).effects, ['start-app']);
});

t.test('the next start begins anew: two good probes until ready, and no timer of the last one touches it', async (t) => {
  const ended = run([bad, bad, bad, timer('hung'), exitAt(9, 0), timer('restart-due'), started], run(ready).life).life;
  t.same(run([timer('kill-due'), timer('hung'), timer('stable')], ended).effects, []);
  t.equal(run([good], ended).life.state, 'starting');
  t.equal(run([good, good], ended).life.state, 'ready');
  const crashed = run([exit, timer('restart-due'), started], run(ready).life).life;
  t.equal(run([good], crashed).life.state, 'starting');
});

t.test('S09: the first start is at once, then the wait doubles to its cap; ten exits in the window are a crash loop, which is final', async (t) => {
  let life = run([booted]).life;
  const waits: string[] = [];
  for (let exits = 1; exits < 10; exits++) {
    const taken = run([started, exitAt(exits * 1000)], life);
    waits.push(taken.effects.at(-1) ?? '');
    t.equal(taken.life.state, 'starting');
    life = run([timer('restart-due')], taken.life).life;
  }
  const growing = [0, 250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000];
  t.same(
    waits,
    growing.map((ms) => `restart-due in ${ms}`),
  );
  const end = run([started, exitAt(10_000)], life);
  t.match(end.life, { state: 'failed', process: 'absent', report: { cause: 'APP_CRASH_LOOP' } });
  t.same(run([timer('restart-due'), good, good, booted], end.life), { life: end.life, effects: [] });
});

t.test('exits that lie further apart than the window are none, and a stable time forgets them and the wait', async (t) => {
  const often = (everyMs: number, between: readonly Event[]) => {
    let life = run([booted]).life;
    for (let exits = 1; exits <= 12; exits++) life = run([started, good, good, ...between, exitAt(exits * everyMs), timer('restart-due')], life).life;
    return life;
  };
  t.equal(often(1000, []).state, 'failed');
  t.equal(often(defaultLimits.crashLoopWindowMs / 5, []).state, 'starting');
  t.match(often(1000, [timer('stable')]), { state: 'starting', failures: 1 });
});

t.test('F30, S18: three bad probes make it unready with the reason; it comes back after two good ones', async (t) => {
  const unready = run([bad, bad, bad], run(ready).life);
  t.match(unready.life, { state: 'unready', report: { cause: 'APP_UNHEALTHY', sentence: /status 500/ } });
  t.same(unready.effects, ['APP_UNHEALTHY', 'hung in 60000']);
  const silent: Event = { type: 'probed', isGood: false, detail: 'no answer in 2000 ms' };
  t.match(run([silent], unready.life).life.report, { sentence: /no answer/ }, 'the reason is that of the last probe');
  t.match(run([good, good], unready.life).life, { state: 'ready', report: undefined });
});

t.test('S15: an app that stays unready for its own, longer limit is ended and started again, for the reason it was unready', async (t) => {
  const unready = run([bad, bad, bad], run(ready).life).life;
  const ending = run([timer('hung')], unready);
  t.same(ending.effects, ['probe none', 'terminate-app', 'kill-due in 6000']);
  t.match(ending.life, { state: 'unready', process: 'ending' });
  t.same(run([timer('kill-due')], ending.life).effects, ['kill-app']);
  const waiting = run([exitAt(9, 0)], ending.life);
  t.match(waiting.life, { state: 'starting', process: 'absent', report: { cause: 'APP_UNHEALTHY' }, exitsMs: [] });
  t.same(waiting.effects, ['probe none', 'restart-due in 0']);
});

t.test('S41: one that answers again in time is left alone, and one that answers now and then has its time anew', async (t) => {
  t.same(run([bad, bad, bad, good, bad], run(ready).life).effects.slice(2), ['hung in 60000']);
  t.same(run([bad, bad, bad, good, good, timer('hung')], run(ready).life).effects.slice(2), ['hung in 60000', 'stable in 120000', 'probe steady']);
});

t.test('S13, S31: a start that fails for a passing reason is tried again without end, one that fails for good is not', async (t) => {
  const taken = new Failure('PORT_IN_USE', { address: '0.0.0.0:8000', holder: 'nc (pid 7)' });
  const missing = new Failure('INTERPRETER_MISSING', { interpreter: '/usr/bin/python3.13', detail: 'ENOENT' });
  let { life } = run([booted]);
  for (let tries = 0; tries < 100; tries++) {
    const waiting = run([{ type: 'start-failed', failure: taken, chance: 0 }], life);
    t.match(waiting, { life: { state: 'starting', process: 'absent', report: { cause: 'PORT_IN_USE' } } });
    life = run([timer('restart-due')], waiting.life).life;
  }
  t.match(run([{ type: 'start-failed', failure: missing, chance: 0 }], life).life, { state: 'failed', report: { cause: 'INTERPRETER_MISSING' } });
});

t.test('S06: an app that does not answer in time is ended without grace, killed if need be, and its exit keeps that reason', async (t) => {
  const ending = run([booted, started, bad, timer('start-deadline')]);
  t.same(ending.effects.slice(3), ['APP_START_TIMEOUT', 'probe none', 'terminate-app', 'kill-due in 5000']);
  t.match(ending.life.report, { sentence: /status 500/ });
  t.match(run([timer('kill-due'), exit], ending.life).life, { state: 'starting', report: { cause: 'APP_START_TIMEOUT' } });
});

t.test('S33: a stop when ready serves on until settled and no connection is left, then TERM, then KILL at the deadline', async (t) => {
  const draining = run([stop], run(ready).life);
  t.equal(draining.life.state, 'draining');
  t.same(draining.effects, ['probe none', 'settled in 300', 'drain-deadline in 5000']);
  const watching = run([timer('settled')], draining.life);
  t.same(watching.effects, ['watch-connections']);
  const terminating = run([{ type: 'connections-gone' }], watching.life);
  t.same(terminating.effects, ['probe none', 'terminate-app', 'kill-due in 6000']);
  t.same(run([timer('kill-due')], terminating.life).effects, ['kill-app']);
  t.match(run([exit], terminating.life), { life: { state: 'stopped' }, effects: ['exit'] });
});

t.test('S34: connections that stay are waited for no longer than the balancer would', async (t) => {
  const watching = run([stop, timer('settled')], run(ready).life);
  t.same(run([timer('drain-deadline')], watching.life).effects, ['probe none', 'terminate-app', 'kill-due in 6000']);
});

t.test('S35: a second stop ends the app now, a third kills it, more change nothing else', async (t) => {
  const { effects, life } = run([stop, stop, stop, stop, exit, stop], run(ready).life);
  t.same(effects.slice(3), ['probe none', 'terminate-app', 'kill-due in 6000', 'kill-app', 'kill-app', 'exit']);
  t.equal(life.state, 'stopped');
});

t.test('S35: a stop in the boot, before a restart, in mid-start and of a failed agent', async (t) => {
  t.match(run([stop]), { life: { state: 'stopped' }, effects: ['stop-boot', 'exit'] });
  t.match(run([stop, timer('restart-due')], run([exit], run(ready).life).life), { life: { state: 'stopped' }, effects: ['exit'] });
  const { life, effects } = run([booted, stop, started]);
  t.match(life, { state: 'draining', process: 'ending' });
  t.ok(effects.includes('terminate-app'));
  t.match(
    run([stop], run([booted, { type: 'start-failed', failure: new Failure('INTERPRETER_MISSING', { interpreter: 'i', detail: 'd' }), chance: 0 }]).life),
    { life: { state: 'stopped' }, effects: ['exit'] },
  );
});

t.test('S42, F36: an instance that is to leave drains as for a stop, then stays, and ends when it is told to', async (t) => {
  const asStop = run([stop], run(ready).life);
  const leaving = run([leave], run(ready).life);
  t.same(leaving.effects, asStop.effects);
  t.same({ ...leaving.life, isLeaving: false }, asStop.life);
  const { life, effects } = run([timer('settled'), { type: 'connections-gone' }, exitAt(9, 0)], leaving.life);
  t.same(effects, ['watch-connections', 'probe none', 'terminate-app', 'kill-due in 6000']);
  t.equal(life.state, 'stopped');
  t.same(run([leave, booted, timer('restart-due'), good], life), { life, effects: [] });
  t.same(run([stop, stop], life).effects, ['exit']);
});

t.test('F36: a second notice, or one while it drains already, hurries nothing; a stop does, and is then the end', async (t) => {
  t.same(run([leave, leave], run([leave], run(ready).life).life).effects, []);
  t.same(run([leave], run([stop], run(ready).life).life).effects, []);
  t.same(run([stop, leave, timer('drain-deadline'), exitAt(9, 0)], run(ready).life).effects.at(-1), 'exit');
  t.same(run([leave, stop, exitAt(9, 0)], run(ready).life).effects.slice(3), ['probe none', 'terminate-app', 'kill-due in 6000', 'exit']);
});

t.test('S44: a notice in the boot, in mid-start, before a restart and of a failed agent: nothing is started any more', async (t) => {
  t.match(run([leave]), { life: { state: 'stopped' }, effects: ['stop-boot'] });
  t.match(run([booted, started, leave]), { life: { state: 'draining', process: 'ending' } });
  t.match(run([booted, leave, started, exit]), { life: { state: 'stopped' } });
  t.match(run([leave, timer('restart-due')], run([exit], run(ready).life).life), { life: { state: 'stopped' }, effects: [] });
  const failed = run([{ type: 'boot-failed', report: new Failure('UNPINNED', { source: 'x' }).report }]).life;
  t.match(run([leave], failed), { life: { state: 'stopped', report: { cause: 'UNPINNED' } }, effects: [] }, 'and it goes on saying why');
});

t.test('S22: workers that the kernel ends for want of memory before the app ever answered are a crash loop of their own', async (t) => {
  const kills = Array.from({ length: defaultLimits.crashLoopCount }, (_, index) => oomKilled(index * 1000));
  const { life, effects } = run(kills, run([booted, started]).life);
  t.match(life, { state: 'starting', process: 'ending', report: { cause: 'APP_OUT_OF_MEMORY', sentence: /10 times within 900000 ms/ } });
  t.same(effects, ['probe none', 'terminate-app', 'kill-due in 5000']);
  t.match(run([exit], life), { life: { state: 'failed', report: { cause: 'APP_OUT_OF_MEMORY' } }, effects: ['APP_OUT_OF_MEMORY'] });
  t.equal(run(kills.slice(1), run([booted, started]).life).life.process, 'running', 'one fewer is none');
  t.same(run(kills, run(ready).life).effects, [], 'gunicorn replaces a worker of an app that serves');
  const far = Array.from({ length: 40 }, (_, index) => oomKilled((index * defaultLimits.crashLoopWindowMs) / 5));
  t.equal(run(far, run([booted, started]).life).life.process, 'running', 'nor are kills that lie far apart');
});

/** The world around a machine: what can happen next follows from what it did, in any order. */
type World = {
  readonly life: Life;
  readonly process: 'absent' | 'starting' | 'running';
  readonly isBooting: boolean;
  readonly isProbing: boolean;
  readonly isWatching: boolean;
  readonly isStopAsked: boolean;
  readonly isLeaveAsked: boolean;
  readonly hasExited: boolean;
  readonly timers: ReadonlySet<TimerName>;
  readonly problem: string | undefined;
};
const newWorld: World = {
  life: newLife,
  process: 'absent',
  isBooting: true,
  isProbing: false,
  isWatching: false,
  isStopAsked: false,
  isLeaveAsked: false,
  hasExited: false,
  timers: new Set(),
  problem: undefined,
};

const failures = [
  new Failure('PORT_IN_USE', { address: 'a', holder: 'h' }),
  new Failure('APP_SPAWN_FAILED', { detail: 'EAGAIN' }),
  new Failure('INTERPRETER_MISSING', { interpreter: 'i', detail: 'd' }),
];
const unpinned = new Failure('UNPINNED', { source: 'x' }).report;

/** All that the world could say now. */
const possible = ({ isBooting, process, isProbing, isWatching, timers, isStopAsked, isLeaveAsked }: World, atMs: number): Event[] => [
  ...(isBooting ? [...Array(6).fill(booted), { type: 'boot-failed', report: unpinned } as const, { type: 'budget', ms: 1000 } as const] : []),
  ...(process === 'starting' ? [...Array(10).fill(started), ...failures.map((failure) => ({ type: 'start-failed', failure, chance: 0.5 }) as const)] : []),
  ...(process === 'running' ? [0, 1, 2, 3, 4, null].map((code) => exitAt(atMs, code)) : []),
  ...(process === 'running' ? [oomKilled(atMs), oomKilled(atMs)] : []),
  // Often, as in life: it takes several to change anything.
  ...(isProbing ? [...Array(12).fill(good), ...Array(12).fill(bad)] : []),
  ...(isWatching ? [{ type: 'connections-gone' } as const] : []),
  ...[...timers].map(timer),
  ...(isStopAsked ? [] : [stop]),
  ...(isLeaveAsked ? [] : [leave]),
];

function after(world: World, event: Event): World {
  const problems: string[] = [];
  const { life, effects } = step(world.life, event, { ...defaultLimits, crashLoopCount: 4 });
  let { process, isBooting, isProbing, isWatching, hasExited } = world;
  const timers = new Set(world.timers);
  const isStopAsked = world.isStopAsked || event.type === 'stop';
  const isLeaveAsked = world.isLeaveAsked || event.type === 'leave';
  if (event.type === 'booted' || event.type === 'boot-failed') isBooting = false;
  if (event.type === 'app-started') process = 'running';
  if (event.type === 'app-exited' || event.type === 'start-failed') process = 'absent';
  if (event.type === 'timer') timers.delete(event.name);
  if (event.type === 'connections-gone') isWatching = false;
  for (const effect of effects) {
    if (hasExited) problems.push(`${effect.do} after the end`);
    if (effect.do === 'start-app') {
      if (process !== 'absent') problems.push('a second start');
      if (isStopAsked || isLeaveAsked) problems.push('a start after a stop');
      process = 'starting';
    }
    if ((effect.do === 'terminate-app' || effect.do === 'kill-app') && process !== 'running') problems.push(`${effect.do} of nothing`);
    if (effect.do === 'stop-boot') isBooting = false;
    if (effect.do === 'probe') isProbing = effect.pace !== 'none';
    if (effect.do === 'watch-connections') isWatching = true;
    if (effect.do === 'set-timer') timers.add(effect.name);
    if (effect.do === 'exit') hasExited = true;
  }
  const known = { absent: ['absent'], starting: ['starting'], running: ['running', 'ending'] }[process];
  if (!known.includes(life.process)) problems.push(`the process is ${process}, it thinks ${life.process}`);
  if (hasExited && (process !== 'absent' || isBooting)) problems.push('an end that leaves something running');
  if (hasExited !== (life.state === 'stopped' && (isStopAsked || !life.isLeaving))) problems.push(`${life.state} with${hasExited ? '' : 'out'} an end`);
  if (life.state === 'failed' && process !== 'absent') problems.push('failed beside a running app');
  if (world.life.state === 'failed' && life.state !== 'failed' && life.state !== 'stopped') problems.push('failed was not final');
  if (isProbing && process !== 'running') problems.push('probes nothing');
  if (life.state === 'ready' && life.report !== undefined) problems.push('ready with a reason against it');
  if (['starting', 'unready', 'failed'].includes(life.state) && world.life.state === 'ready' && life.report === undefined)
    problems.push('red without a reason');
  if (life.state === 'stopped' && (process !== 'absent' || isBooting || isProbing)) problems.push('stopped beside something that runs');
  const next = { life, process, isBooting, isProbing, isWatching, isStopAsked, isLeaveAsked, hasExited, timers, problem: problems[0] };
  const waits = possible(next, 0).some(({ type }) => type !== 'stop' && type !== 'leave');
  return !waits && !hasExited && life.state !== 'failed' && life.state !== 'stopped' ? { ...next, problem: `stuck in ${life.state}` } : next;
}

t.test('S35: whatever the order of events: no lost child, no double start, none after a stop, failed and stopped are final, never stuck', async (t) => {
  const seen = new Map<string, number>();
  fc.assert(
    // Long lives, and no liking for small numbers: every state is to be met in each run of this test.
    fc.property(fc.array(fc.noBias(fc.nat(1_000_000)), { minLength: 60, maxLength: 120 }), (choices) => {
      let world = newWorld;
      for (const [index, choice] of choices.entries()) {
        const events = possible(world, index * 1000);
        const event = events[choice % events.length];
        if (event === undefined) break;
        world = after(world, event);
        seen.set(world.life.state, (seen.get(world.life.state) ?? 0) + 1);
        if (world.problem !== undefined) throw new Error(`${world.problem}, on ${JSON.stringify(event)}`);
      }
      // Told to stop, it comes to its end by itself, however the app behaves: at worst the kill works.
      for (let steps = 0; !world.hasExited; steps++) {
        if (steps > 12) throw new Error(`${world.life.state} does not end`);
        const byItself = possible(world, 1e9).find(({ type }) => ['timer', 'app-started'].includes(type));
        const died = world.life.process === 'ending' && !world.timers.has('kill-due') ? exitAt(1e9, null) : undefined;
        world = after(world, world.isStopAsked ? (died ?? byItself ?? stop) : stop);
        if (world.problem !== undefined) throw new Error(world.problem);
      }
    }),
    { numRuns: 5000 },
  );
  t.comment([...seen].join(' '));
  t.same([...seen.keys()].sort(), ['booting', 'draining', 'failed', 'ready', 'starting', 'stopped', 'unready'], 'every state was met');
});
