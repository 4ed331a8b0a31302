import { randomUUID } from 'node:crypto';
import { ServiceError } from '../wire/query.ts';
import type { Group, Member } from './group.ts';

export type HookResult = 'CONTINUE' | 'ABANDON';
export type Hook = {
  readonly name: string;
  readonly transition: 'autoscaling:EC2_INSTANCE_LAUNCHING' | 'autoscaling:EC2_INSTANCE_TERMINATING';
  readonly heartbeatTimeoutS: number;
  readonly defaultResult: HookResult;
  /** Metadata and target, which are described and otherwise unused. */
  readonly extra: Readonly<Record<string, string | undefined>>;
};

/** An instance that waits for a hook. */
export type Action = {
  readonly hook: Hook;
  readonly token: string;
  /** The first one counts. */
  settle(result: HookResult, how: string): void;
  beat(): void;
};

const globalTimeoutS = 172_800;
/** EC2 Auto Scaling API Reference, LifecycleHook. */
export const globalTimeoutOf = ({ heartbeatTimeoutS }: Hook): number => Math.min(globalTimeoutS, 100 * heartbeatTimeoutS);

/** Waits until the hook is completed or its time is over; gives its result and, for ABANDON, what an activity says of it. */
export function waitForHook(member: Member, hook: Hook, secondMs: number): Promise<{ readonly result: HookResult; readonly message: string }> {
  return new Promise((resolve) => {
    const token = randomUUID();
    const timeOut = () => settle(hook.defaultResult, 'Heartbeat Timeout');
    let heartbeat = setTimeout(timeOut, hook.heartbeatTimeoutS * secondMs);
    const global = setTimeout(timeOut, globalTimeoutOf(hook) * secondMs);
    const settle = (result: HookResult, how: string) => {
      clearTimeout(heartbeat);
      clearTimeout(global);
      if (member.action === action) member.action = undefined;
      resolve({ result, message: `Instance failed to complete user's Lifecycle Action: Lifecycle Action with token ${token} was abandoned: ${how}` });
    };
    const action: Action = {
      ...{ hook, token, settle },
      beat() {
        clearTimeout(heartbeat);
        heartbeat = setTimeout(timeOut, hook.heartbeatTimeoutS * secondMs);
      },
    };
    member.action = action;
  });
}

type Wanted = { readonly hook: string; readonly instance: string | undefined; readonly token: string | undefined };

/** The action that an instance or a token stands for. Throws ValidationError: none is active, which is also said of one that is not active yet. */
export function activeAction({ members }: Group, { hook, instance, token }: Wanted): Action {
  for (const member of members.values()) {
    const { action } = member;
    if (action?.hook.name === hook && (token === undefined ? member.id === instance : action.token === token)) return action;
  }
  const which = token === undefined ? `instance ID ${instance}` : `token ${token}`;
  throw new ServiceError('ValidationError', `No active Lifecycle Action found with ${which}`);
}
