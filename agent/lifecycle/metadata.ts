import type { Notice } from '../../contract/events.ts';
import type { UserData } from '../../contract/user-data.ts';
import type { Imds } from '../imds.ts';
import type { HookTimes } from './hook.ts';

/** The group that this instance belongs to, as its user data says. */
export type Membership = { readonly instance: string; readonly group: string; readonly hooks: UserData['hooks']; readonly times: HookTimes };

/**
 * Read apart from the boot: an agent that adopts its app boots nothing, and user data that names no release names the hook to ABANDON. Undefined where it
 * names no hooks, or is not pinion's: then nobody can be told. Throws IMDS_UNAVAILABLE.
 */
export async function readMembership(imds: Imds, signal: AbortSignal): Promise<Membership | undefined> {
  const [text, instance] = await Promise.all([imds.get('/latest/user-data', signal), imds.get('/latest/meta-data/instance-id', signal)]);
  try {
    const { autoScalingGroup: group, hooks, times } = JSON.parse(text ?? '') as UserData;
    const isWhole = [instance, group, hooks.launch, hooks.terminate].every(Boolean) && Object.values(times).every(Number.isInteger);
    return isWhole ? { instance: String(instance), group, hooks, times } : undefined;
  } catch {
    return undefined;
  }
}

/** EC2 User Guide, "Instance metadata categories"; without a notice 404. */
const paths: readonly (readonly [Notice, string])[] = [
  ['target-lifecycle-state', '/latest/meta-data/autoscaling/target-lifecycle-state'],
  ['spot-interruption', '/latest/meta-data/spot/instance-action'],
  ['rebalance-recommendation', '/latest/meta-data/events/recommendations/rebalance'],
];
export type Notices = ReadonlyMap<Notice, string | undefined>;

/** What the metadata service says now of this instance's end. Throws IMDS_UNAVAILABLE. */
export const readNotices = async (imds: Imds, signal: AbortSignal): Promise<Notices> =>
  new Map(await Promise.all(paths.map(async ([notice, path]) => [notice, await imds.get(path, signal)] as const)));

/**
 * Whether this instance is to end. A rebalance recommendation alone says only that an interruption is likelier than before: a group with Capacity Rebalancing has
 * a replacement healthy first and then ends this one by `Terminated`; any other replaces nothing yet (Auto Scaling User Guide, "Capacity Rebalancing"). Pure.
 */
export const isLeaving = (notices: Notices): boolean =>
  notices.get('target-lifecycle-state') === 'Terminated' || notices.get('spot-interruption') !== undefined;
