import fc from 'fast-check';
import t from 'tap';
import { type Answer, answered, type Call, type Hooks, type News, newHooks, nextCall, told } from '../../../agent/lifecycle/hook.ts';
import { defaultLimits } from '../../../agent/limits.ts';
import { Failure } from '../../../contract/causes.ts';

const times = { bootBudgetMs: 300_000, deregistrationDelayMs: 30_000, launchHeartbeatMs: 600_000, terminateHeartbeatMs: 90_000 };
const limits = { startMs: 120_000, hookRetryBaseMs: 500, hookRetryCapMs: 10_000 };
const unavailable = new Failure('LIFECYCLE_ACTION_UNAVAILABLE', { action: 'A', hook: 'h', group: 'g', detail: '500' });

const after = (news: readonly News[], from: Hooks = newHooks, nowMs = 1_000) => news.reduce((hooks, one) => told(hooks, one, nowMs), from);
const next = (hooks: Hooks, nowMs = 1_000) => {
  const call = nextCall(hooks, times, limits, nowMs);
  return call && `${call.hook} ${call.ask}`;
};
const reply = (hooks: Hooks, answer: Answer, nowMs = 1_000, chance = 0.5) => {
  const call = nextCall(hooks, times, limits, nowMs);
  if (call === undefined) throw new Error('nothing is owed');
  return answered(hooks, call, answer, times, limits, nowMs, chance);
};

t.test('S42: CONTINUE follows the first ready, and is owed no more once it is taken, whatever comes', async (t) => {
  t.equal(next(after(['starting'])), undefined);
  const ready = after(['starting', 'ready']);
  t.equal(next(ready), 'launch CONTINUE');
  t.equal(next(after(['unready'], ready)), 'launch CONTINUE', 'also when it is unready again before it could be said');
  t.equal(next(after(['draining'], ready)), undefined, 'not when it ends before');
  const taken = reply(ready, 'taken');
  for (const news of [['unready'], ['starting', 'failed'], ['draining'], ['draining', 'stopped']] as const)
    t.equal(next(after(news, taken)), undefined, `${news}`);
});

t.test('S01, N04: what can never serve is ABANDONed at once, also when CONTINUE waits for its turn', async (t) => {
  t.equal(next(after(['failed'])), 'launch ABANDON');
  const waiting = reply(after(['starting', 'ready']), 'not-yet');
  t.equal(next(waiting), undefined);
  t.equal(next(after(['starting', 'failed'], waiting)), 'launch ABANDON');
  t.equal(next(reply(after(['failed']), 'taken')), undefined);
});

t.test('S42: CONTINUE for the end follows the end of the app, once; a launch that was never completed is not either', async (t) => {
  const leaving = after(['starting', 'ready', 'Terminated', 'draining']);
  t.equal(next(leaving), undefined);
  const ended = after(['stopped'], leaving);
  t.equal(next(ended), 'terminate CONTINUE');
  t.equal(next(reply(ended, 'taken')), undefined);
  t.equal(next(after(['failed', 'Terminated'])), undefined, 'a failed agent is told to leave first');
});

t.test('S44: a start that a notice ends gives the launch back; nothing is said to a group that ends it anyway', async (t) => {
  t.equal(next(after(['starting', 'draining'])), undefined);
  t.equal(next(after(['starting', 'draining', 'stopped'])), 'launch ABANDON');
  t.equal(next(after(['starting', 'draining', 'stopped', 'Terminated'])), 'terminate CONTINUE');
});

t.test('N09, S43: not yet and failures are asked again with full jitter, until the time of the hook is over', async (t) => {
  for (const answer of ['not-yet', unavailable] as const) {
    for (const [news, budgetMs] of [
      [['ready'], times.launchHeartbeatMs],
      [['ready', 'draining', 'stopped', 'Terminated'], times.deregistrationDelayMs + times.terminateHeartbeatMs],
    ] as const) {
      let hooks = after(news);
      let nowMs = 1_000;
      const waits: number[] = [];
      while (next(hooks, nowMs) !== undefined) {
        hooks = reply(hooks, answer, nowMs, 0.999);
        if (hooks.tries === undefined) break;
        waits.push(hooks.tries.againAtMs - nowMs);
        t.equal(next(hooks, hooks.tries.againAtMs - 1), undefined);
        nowMs = hooks.tries.againAtMs;
      }
      t.same(waits.slice(0, 6), [499, 999, 1_998, 3_996, 7_992, 9_990]);
      t.ok(nowMs - 1_000 < budgetMs && nowMs - 1_000 > budgetMs - 20_000, `${nowMs} ms of ${budgetMs}`);
      t.equal(next(hooks, 1e9), undefined, 'given up');
    }
  }
  t.equal(reply(after(['ready']), 'not-yet', 1_000, 0).tries?.againAtMs, 1_000);
});

t.test('F37: a start renews its heartbeat at a third of it, after progress only, up to boot budget and start limit', async (t) => {
  const third = times.launchHeartbeatMs / 3;
  t.equal(next(newHooks, third), undefined, 'no progress');
  const moving = after(['progress'], newHooks, 50_000);
  t.equal(next(moving, third - 1), undefined);
  t.equal(next(moving, third), 'launch heartbeat');
  const renewed = reply(moving, 'taken', third);
  t.equal(next(renewed, 2 * third), undefined, 'nothing since');
  t.equal(next(after(['progress'], renewed, 2 * third), 2 * third), 'launch heartbeat');
  const bound = times.bootBudgetMs + limits.startMs;
  t.equal(next(after(['progress', 'starting'], newHooks, bound), bound), 'launch heartbeat');
  t.equal(next(after(['progress', 'starting'], newHooks, bound), bound + 1), undefined);
  t.equal(next(after(['ready', 'starting'], reply(after(['ready', 'progress']), 'taken'), third), third), undefined, 'nor once it was ready');
  t.equal(next(reply(moving, unavailable, third), third + 10_000), 'launch heartbeat', 'one that fails is sent again');
  t.equal(next(reply(moving, 'not-yet', third), third + 10_000), undefined, 'one that nobody waits for is not');
});

t.test('S42: a drain renews the heartbeat of the terminate hook at a third of it', async (t) => {
  const third = times.terminateHeartbeatMs / 3;
  const leaving = after(['ready', 'Terminated', 'draining'], newHooks, 1e6);
  t.equal(next(leaving, 1e6 + third - 1), undefined);
  t.equal(next(after(['Terminated'], leaving, 1e6 + third), 1e6 + third), 'terminate heartbeat', 'also when Terminated is seen again and again');
  t.equal(next(reply(leaving, 'taken', 1e6 + third), 1e6 + 2 * third - 1), undefined);
  t.equal(next(after(['stopped'], leaving), 1e6 + third), 'terminate CONTINUE');
});

t.test(
  'S42: whatever happens in whatever order: each hook is completed once at the most, no ABANDON follows a CONTINUE, nothing is asked without end',
  async (t) => {
    const states = ['starting', 'ready', 'unready', 'draining', 'stopped', 'failed'] as const;
    const news = fc.constantFrom<News>(...states, 'progress', 'Terminated');
    const answer = fc.constantFrom<Answer>('taken', 'not-yet', unavailable);
    const completed = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(fc.tuple(news, answer, fc.nat(60_000)), { minLength: 20, maxLength: 60 }), (happens) => {
        let hooks = newHooks;
        let nowMs = 0;
        const taken: Call[] = [];
        for (const [what, says, afterMs] of happens) {
          nowMs += afterMs;
          hooks = told(hooks, what, nowMs);
          const call = nextCall(hooks, times, limits, nowMs);
          if (call === undefined) continue;
          hooks = answered(hooks, call, says, times, limits, nowMs, 0.5);
          if (says === 'taken' && call.ask !== 'heartbeat') taken.push(call);
        }
        for (const hook of ['launch', 'terminate']) {
          const count = taken.filter((call) => call.hook === hook).length;
          if (count > 1) throw new Error(`${hook} was completed ${count} times`);
          completed.set(hook, (completed.get(hook) ?? 0) + count);
        }
        let more = 0;
        for (; nowMs < 1e7; nowMs += 1_000) {
          const call = nextCall(hooks, times, limits, nowMs);
          if (call === undefined) continue;
          if (call.ask !== 'heartbeat') more++;
          hooks = answered(hooks, call, 'not-yet', times, limits, nowMs, 0.999);
        }
        if (more > 1_000) throw new Error(`${more} more calls`);
      }),
      { numRuns: 300 },
    );
    t.ok((completed.get('launch') ?? 0) > 5 && (completed.get('terminate') ?? 0) > 5, 'both were met');
  },
);

t.test('the waits and intervals of a host', async (t) => {
  t.match(defaultLimits, { noticeIntervalMs: 5_000, hookRetryBaseMs: 500, hookRetryCapMs: 10_000 });
});
