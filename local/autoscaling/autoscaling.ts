import type { Launcher } from '../fleet/launcher.ts';
import type { TargetGroup } from '../load-balancer/target-group.ts';
import { type Service, ServiceError } from '../wire/query.ts';
import { describing } from './describe.ts';
import type { Group } from './group.ts';
import { onGroups, onNewGroups } from './group-actions.ts';
import type { World } from './instance.ts';
import { onInstances, onMembers } from './instance-actions.ts';
import { describingPolicies, onPolicies } from './policies.ts';
import { look, type Sources, stepOn } from './reconcile.ts';
import { onRefreshes } from './refresh-actions.ts';
import { type Account, type Handler, notImplemented, onGroup } from './requests.ts';
import type { Timers } from './timers.ts';

export type AutoScalingOptions = Sources & {
  readonly launcher: Launcher;
  /** By ARN; one that is added later is there for a group that is created later. */
  readonly targetGroups: Pick<ReadonlyMap<string, TargetGroup>, 'has' | 'get'>;
  readonly timers: Timers;
  /** What went wrong in the background. */
  readonly say?: (line: string) => void;
};

/** Answers of an action that are not its own, the next ones first. */
export type Faults = {
  /** `Throttling`, as often as said. */
  throttle(action: string, times: number): void;
  fail(action: string, error: { readonly code: string; readonly message: string; readonly status: number }, times: number): void;
  clear(): void;
};

export type AutoScaling = {
  readonly service: Service;
  readonly faults: Faults;
  /** The groups as they are: for tests to look at, and not to change. */
  readonly groups: ReadonlyMap<string, Group>;
  /** Ends every instance and everything it waits for. */
  stop(): Promise<void>;
};

const eachOnGroup = Object.entries({ ...onGroups, ...onMembers, ...onPolicies, ...onRefreshes }).map(([action, handle]) => [action, onGroup(handle)]);
const handlers: ReadonlyMap<string, Handler> = new Map(
  Object.entries({ ...describing, ...describingPolicies, ...onNewGroups, ...onInstances, ...Object.fromEntries(eachOnGroup) }),
);

/** The whole of Auto Scaling that the CLI, the agent and the Terraform provider use; its rules are in autoscaling.md. */
export function createAutoScaling({ launcher, targetGroups, timers, say = () => {}, ...sources }: AutoScalingOptions): AutoScaling {
  const groups = new Map<string, Group>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const errors = new Map<string, ServiceError[]>();
  const stepping = new Map<Group, 'once' | 'again'>();

  const changed = (group: Group): void => {
    if (stepping.has(group)) stepping.set(group, 'again');
    else if (!signal.aborted) void step(group);
  };
  const world: World = { launcher, targetGroups, timers, say, signal, changed };
  const account: Account = { world, sources, groups };

  const attempt = ({ name }: Group, work: () => Promise<void>) =>
    work().catch((thrown) => say(`autoscaling: ${name}: ${thrown instanceof Error ? thrown.stack : thrown}`));

  /** One step at a time for each group, and another if something changed meanwhile. */
  async function step(group: Group): Promise<void> {
    do {
      stepping.set(group, 'once');
      await Promise.resolve();
      await attempt(group, () => stepOn(world, sources, group));
      if (group.isDeleting && group.members.size === 0) groups.delete(group.name);
    } while (stepping.get(group) === 'again' && !signal.aborted);
    stepping.delete(group);
  }

  async function tick(): Promise<void> {
    await Promise.all([...groups.values()].map((group) => attempt(group, () => look(world, sources, group))));
    for (const group of groups.values()) changed(group);
    if (!signal.aborted) timer = setTimeout(tick, timers.tickMs);
  }
  let timer = setTimeout(tick, timers.tickMs);

  const fail = (action: string, error: ServiceError, times: number) => errors.set(action, [...(errors.get(action) ?? []), ...Array(times).fill(error)]);
  return {
    groups,
    faults: {
      throttle: (action, times) => void fail(action, new ServiceError('Throttling', 'Rate exceeded'), times),
      fail: (action, { code, message, status }, times) => void fail(action, new ServiceError(code, message, status), times),
      clear: () => errors.clear(),
    },
    service({ action, params }) {
      const error = errors.get(action)?.shift();
      if (error !== undefined) throw error;
      const handler = handlers.get(action);
      if (handler === undefined) throw notImplemented(action);
      return handler(account, params);
    },
    async stop() {
      stopping.abort();
      clearTimeout(timer);
      const members = [...groups.values()].flatMap((group) => [...group.members.values()]);
      for (const member of members) member.action?.settle('ABANDON', 'Service stopped');
      await Promise.all(
        members.map(async (member) => {
          await member.started;
          await member.launched?.terminate();
        }),
      );
    },
  };
}
