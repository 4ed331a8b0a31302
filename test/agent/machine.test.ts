import fc from 'fast-check';
import t from 'tap';
import { defaultLimits } from '../../agent/limits.ts';
import { type Event, type Life, newLife, step } from '../../agent/machine.ts';
import { Failure } from '../../contract/causes.ts';

const app = { entryPoint: 'app:app', healthPath: '/healthz', gracefulTimeoutMs: 1000 };
const good: Event = { type: 'probed', isGood: true, detail: 'status 200' };
const bad: Event = { type: 'probed', isGood: false, detail: 'status 500' };
const exit: Event = { type: 'app-exited', exit: { code: 1, signal: null }, tail: [], atMs: 5, chance: 0 };
const booted: Event = { type: 'booted', app };
const started: Event = { type: 'app-started' };
const stop: Event = { type: 'stop' };

const run = (events: readonly Event[], from: Life = newLife) => {
  const effects: string[] = [];
  let life = from;
  for (const event of events) {
    const taken = step(life, event, defaultLimits);
    life = taken.life;
    effects.push(...taken.effects.map((effect) => ('name' in effect ? `${effect.do} ${effect.name}` : effect.do)));
  }
  return { life, effects };
};

t.test('a good life: booted, started, two good probes, ready', async (t) => {
  const { life, effects } = run([booted, started, good, good]);
  t.equal(life.state, 'ready');
  t.same(effects, ['start-app', 'set-timer start-deadline', 'probe', 'cancel-timer start-deadline', 'probe']);
});

t.test('an app that exits is not ready at once, and waits for its restart', async (t) => {
  const { life, effects } = run([booted, started, good, good, exit]);
  t.match(life, { state: 'starting', process: 'absent', report: { cause: 'APP_EXITED' } });
  t.ok(effects.includes('set-timer restart-due'));
});

t.test('F30: three bad probes make it unready with the reason; it comes back after two good ones', async (t) => {
  const unready = run([booted, started, good, good, bad, bad, bad]);
  t.match(unready.life, { state: 'unready', report: { cause: 'APP_UNHEALTHY', sentence: /status 500/ } });
  t.match(run([good, good], unready.life).life, { state: 'ready', report: undefined });
});

t.test('S13: a start that fails for a passing reason is tried again, one that fails for good is not', async (t) => {
  const taken = new Failure('PORT_IN_USE', { address: '0.0.0.0:8000', holder: 'nc (pid 7)' });
  const missing = new Failure('INTERPRETER_MISSING', { interpreter: '/usr/bin/python3.13', detail: 'ENOENT' });
  const waiting = run([booted, { type: 'start-failed', failure: taken, chance: 0 }]);
  t.match(waiting.life, { state: 'starting', process: 'absent', report: { cause: 'PORT_IN_USE' } });
  t.same(run([{ type: 'timer', name: 'restart-due' }], waiting.life).effects, ['start-app']);
  t.match(run([booted, { type: 'start-failed', failure: missing, chance: 0 }]).life, { state: 'failed', report: { cause: 'INTERPRETER_MISSING' } });
});

t.test('an app that does not answer in time is killed, and its exit keeps that reason', async (t) => {
  const { life, effects } = run([booted, started, { type: 'timer', name: 'start-deadline' }, exit]);
  t.ok(effects.includes('kill-app'));
  t.match(life, { state: 'starting', report: { cause: 'APP_START_TIMEOUT' } });
});

t.test('a stop when ready serves on until settled, then TERM, then KILL at the deadline', async (t) => {
  const draining = run([stop], run([booted, started, good, good]).life);
  t.equal(draining.life.state, 'draining');
  t.same(draining.effects, ['set-timer settled']);
  const terminating = run([{ type: 'timer', name: 'settled' }], draining.life);
  t.same(terminating.effects, ['cancel-timer settled', 'terminate-app', 'set-timer kill-due']);
  t.same(run([{ type: 'timer', name: 'kill-due' }], terminating.life).effects, ['kill-app']);
  t.match(run([exit], terminating.life), { life: { state: 'stopped' }, effects: ['cancel-timer kill-due', 'exit'] });
});

t.test('a second stop ends the app now, a third kills it', async (t) => {
  const { effects } = run([stop, stop, stop], run([booted, started, good, good]).life);
  t.same(effects, ['set-timer settled', 'cancel-timer settled', 'terminate-app', 'set-timer kill-due', 'kill-app']);
});

t.test('a stop in mid-start waits for the process and then ends it', async (t) => {
  const { life, effects } = run([booted, stop, started]);
  t.match(life, { state: 'draining', process: 'ending' });
  t.ok(effects.includes('terminate-app'));
});

t.test('whatever the order of events: no second start beside a process, none after a stop, failed and stopped are final', async () => {
  const report = new Failure('UNPINNED', { source: 'x' }).report;
  const failure = fc.constantFrom(
    new Failure('PORT_IN_USE', { address: 'a', holder: 'h' }),
    new Failure('INTERPRETER_MISSING', { interpreter: 'i', detail: 'd' }),
  );
  // Only what the world can say: a process starts after it was asked for, and exits once.
  type World = { life: Life; process: 'absent' | 'starting' | 'running'; isStopped: boolean };
  const choice = fc.record({
    pick: fc.nat(7),
    failure,
    code: fc.constantFrom(0, 1, 2, 3, 4, null),
    name: fc.constantFrom('start-deadline', 'restart-due', 'settled', 'kill-due'),
  });
  fc.assert(
    fc.property(fc.array(choice, { maxLength: 80 }), (choices) => {
      const world: World = { life: newLife, process: 'absent', isStopped: false };
      for (const [atMs, { pick, failure, code, name }] of choices.entries()) {
        const event: Event | undefined =
          pick === 0
            ? booted
            : pick === 1
              ? { type: 'boot-failed', report }
              : pick === 2
                ? world.process === 'starting'
                  ? started
                  : undefined
                : pick === 3
                  ? world.process === 'starting'
                    ? { type: 'start-failed', failure, chance: 0.5 }
                    : undefined
                  : pick === 4
                    ? world.process === 'running'
                      ? { type: 'app-exited', exit: { code, signal: null }, tail: [], atMs, chance: 0.5 }
                      : undefined
                    : pick === 5
                      ? { type: 'probed', isGood: code === 0, detail: 'x' }
                      : pick === 6
                        ? { type: 'timer', name: name as 'settled' }
                        : stop;
        if (event === undefined) continue;
        if (event.type === 'app-started') world.process = 'running';
        if (event.type === 'app-exited' || event.type === 'start-failed') world.process = 'absent';
        if (event.type === 'stop') world.isStopped = true;
        const before = world.life.state;
        const { life, effects } = step(world.life, event, defaultLimits);
        world.life = life;
        for (const effect of effects) {
          if (effect.do === 'start-app') {
            if (world.process !== 'absent' || world.isStopped) return false;
            world.process = 'starting';
          }
        }
        if (before === 'stopped' && life.state !== 'stopped') return false;
        if (before === 'failed' && life.state !== 'failed' && life.state !== 'stopped') return false;
        if (life.state === 'stopped' && world.process !== 'absent') return false;
        if (life.state === 'failed' && world.process !== 'absent') return false;
      }
      return true;
    }),
    { numRuns: 3000 },
  );
});
