import { existsSync, writeFile } from 'node:fs';
import { join } from 'node:path';
import { asFailure, type CauseReport } from '../../contract/causes.ts';
import type { AgentEvent } from '../../contract/events.ts';
import type { Imds } from '../imds.ts';
import type { Limits } from '../limits.ts';
import { createHookClient } from './complete.ts';
import { type Answer, answered, type Call, type Hooks, type News, newHooks, nextCall, told } from './hook.ts';
import { isLeaving, type Membership, type Notices, readMembership, readNotices } from './metadata.ts';

type Options = {
  readonly imds: Imds;
  readonly limits: Limits;
  /** Where it is noted that this instance's launch hook has its answer. */
  readonly stateFolder: string;
  readonly say: (event: AgentEvent) => void;
  /** A cause that does not pass by itself, for the console too. */
  readonly report: (cause: CauseReport) => void;
  /** The group or Spot ends this instance; called again with every look. */
  readonly onLeaving: () => void;
};

/** This instance's part in its Auto Scaling group, from now on: looks for notices, and answers the lifecycle hooks. An outage of either service harms nothing. */
export function startLifecycle({ imds, limits, stateFolder, say, report, onLeaving }: Options): { tell(news: News): void; stop(): void } {
  const stopped = new AbortController();
  const client = createHookClient(imds, limits);
  const noteOf = (instance: string) => join(stateFolder, `launch-hook-answered-${instance}`);
  let member: Membership | undefined;
  let notices: Notices = new Map();
  let hooks = newHooks;
  let isBlind = false;
  let isAsking = false;
  let lastTrouble: string | undefined;
  let lookTimer: NodeJS.Timeout | undefined;
  let askTimer: NodeJS.Timeout | undefined;

  const tell = (news: News) => {
    hooks = told(hooks, news, performance.now());
    void ask();
  };

  async function look(): Promise<void> {
    try {
      const [joined, seen] = await Promise.all([member ?? readMembership(imds, stopped.signal), readNotices(imds, stopped.signal)]);
      // An instance is launched once, however often its agent or its host starts.
      if (member === undefined && joined !== undefined && existsSync(noteOf(joined.instance))) hooks = { ...hooks, closed: ['launch'] };
      member = joined;
      for (const [notice, value] of seen) if (value !== undefined && value !== notices.get(notice)) say({ event: 'notice', notice, value });
      notices = seen;
      if (isBlind) say({ event: 'notices-recovered' });
      isBlind = false;
    } catch (thrown) {
      if (stopped.signal.aborted) return;
      if (!isBlind) say({ event: 'notices-failed', ...asFailure(thrown).report });
      isBlind = true;
    }
    lookTimer = setTimeout(look, limits.noticeIntervalMs);
    if (notices.get('target-lifecycle-state') === 'Terminated') tell('Terminated');
    if (isLeaving(notices)) onLeaving();
    void ask();
  }

  async function ask(): Promise<void> {
    if (member === undefined || isAsking || stopped.signal.aborted) return;
    const call = nextCall(hooks, member.times, limits, performance.now());
    if (call === undefined) {
      const waitMs = (hooks.tries?.againAtMs ?? 0) - performance.now();
      clearTimeout(askTimer);
      if (waitMs > 0) askTimer = setTimeout(ask, waitMs);
      return;
    }
    isAsking = true;
    const answer = await client.send(member, call, stopped.signal);
    isAsking = false;
    if (stopped.signal.aborted) return;
    const after = answered(hooks, call, answer, member.times, limits, performance.now(), Math.random());
    sayAnswer(call, answer, after, member);
    hooks = after;
    if (hooks.tries === undefined) client.letGo();
    void ask();
  }

  function sayAnswer({ hook: which, ask }: Call, answer: Answer, after: Hooks, { hooks: names, instance }: Membership): void {
    const hook = names[which];
    const trouble = typeof answer === 'string' ? undefined : answer;
    if (trouble !== undefined && trouble.message !== lastTrouble) {
      if (trouble.isTransient) say({ event: 'lifecycle-action-failed', hook, ...trouble.report });
      else report(trouble.report);
    }
    lastTrouble = trouble?.message;
    if (ask === 'heartbeat' && answer === 'taken') say({ event: 'lifecycle-heartbeat-recorded', hook });
    if (ask === 'heartbeat' || after.closed.length === hooks.closed.length) return;
    say({ event: answer === 'taken' ? 'lifecycle-action-completed' : 'lifecycle-action-given-up', hook, result: ask });
    // What it would spare the next agent is a few calls that have no effect.
    if (answer === 'taken' && which === 'launch') writeFile(noteOf(instance), '', () => {});
  }

  void look();
  return {
    tell,
    stop() {
      stopped.abort();
      clearTimeout(lookTimer);
      clearTimeout(askTimer);
      client.letGo();
    },
  };
}
