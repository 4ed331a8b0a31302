import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { Failure } from '../../contract/causes.ts';
import type { ClientLimits } from '../aws-client.ts';
import type { Imds } from '../imds.ts';
import type { Answer, Call } from './hook.ts';
import type { Membership } from './metadata.ts';

/** Makes calls to Auto Scaling. The client is loaded at the first: an agent that owes no hook an answer has none; `letGo` ends its connections until the next. */
export function createHookClient(imds: Imds, limits: ClientLimits) {
  let client: AutoScalingClient | undefined;
  return {
    /** Never throws: a Failure is LIFECYCLE_ACTION_DENIED, LIFECYCLE_ACTION_UNAVAILABLE, or one that `refusalOf` gives. */
    async send({ group, hooks, instance }: Membership, { hook: which, ask }: Call, abortSignal: AbortSignal): Promise<Answer> {
      const hook = hooks[which];
      const input = { AutoScalingGroupName: group, LifecycleHookName: hook, InstanceId: instance };
      const [sdk, { clientOptions, learning, refusalOf }] = await Promise.all([import('@aws-sdk/client-auto-scaling'), import('../aws-client.ts')]);
      client ??= learning(new sdk.AutoScalingClient(clientOptions(imds, limits)));
      try {
        if (ask === 'heartbeat') await client.send(new sdk.RecordLifecycleActionHeartbeatCommand(input), { abortSignal });
        else await client.send(new sdk.CompleteLifecycleActionCommand({ ...input, LifecycleActionResult: ask }), { abortSignal });
        return 'taken';
      } catch (thrown) {
        // Its words before and after the wait of a hook (convox/rack#2432).
        if (/No active Lifecycle Action/i.test(String(thrown))) return 'not-yet';
        const refusal = refusalOf(thrown);
        if (refusal instanceof Failure) return refusal;
        const { name, status, detail, isWrong } = refusal;
        const names = { action: ask === 'heartbeat' ? 'RecordLifecycleActionHeartbeat' : 'CompleteLifecycleAction', hook, group };
        if (isWrong && (name.startsWith('AccessDenied') || status === 403)) return new Failure('LIFECYCLE_ACTION_DENIED', names, { cause: thrown });
        return new Failure('LIFECYCLE_ACTION_UNAVAILABLE', { ...names, detail }, { cause: thrown });
      }
    },
    letGo(): void {
      client?.destroy();
      client = undefined;
    },
  };
}
