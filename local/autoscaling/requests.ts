import { listOf, type Params, requiredText, ServiceError, textOf } from '../wire/query.ts';
import type { Group, LifecycleState, Member, TemplateChoice } from './group.ts';
import type { World } from './instance.ts';
import type { Sources } from './reconcile.ts';

/** All that an action works on. */
export type Account = { readonly world: World; readonly sources: Sources; readonly groups: Map<string, Group> };
type Answer = Readonly<Record<string, unknown>>;
export type Handler = (account: Account, params: Params) => Answer | Promise<Answer>;
/** An action on one group, which may then have a next step to take. */
// biome-ignore lint/suspicious/noConfusingVoidType: most answer nothing
export type GroupHandler = (group: Group, params: Params, account: Account) => Answer | void | Promise<Answer | void>;

export const onGroup =
  (handle: GroupHandler): Handler =>
  async (account, params) => {
    const group = groupOf(account, params);
    const answer = await handle(group, params, account);
    account.world.changed(group);
    return answer ?? {};
  };

export const invalid = (message: string): ServiceError => new ServiceError('ValidationError', message);
export const notImplemented = (what: string): ServiceError => new ServiceError('NotImplemented', `NotImplemented: ${what}`, 501);

/** Throws NotImplemented for a parameter that this service would otherwise leave out silently. */
export function refuse(params: Params, action: string, ...names: readonly string[]): void {
  const given = names.find((name) => params[name] !== undefined && params[name] !== '');
  if (given !== undefined) throw notImplemented(`${action} with ${given}`);
}

/** An integer within its range; undefined where it is not given. Throws ValidationError. */
export function integer(params: Params, name: string, least = 0, most = Number.MAX_SAFE_INTEGER): number | undefined {
  const text = textOf(params, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) throw invalid(`${name} must be an integer from ${least} to ${most}, not ${text}`);
  return value;
}

export const flag = (params: Params, name: string): boolean | undefined => (textOf(params, name) === undefined ? undefined : textOf(params, name) === 'true');
export const structure = (params: Params, name: string): Params | undefined => {
  const value = params[name];
  return typeof value === 'object' && !Array.isArray(value) ? (value as Params) : undefined;
};
/** A list of structures. */
export const structures = (params: Params, name: string): readonly Params[] => (Array.isArray(params[name]) ? (params[name] as readonly Params[]) : []);

/** Throws ValidationError. */
export function groupOf({ groups }: Account, params: Params, member = 'AutoScalingGroupName'): Group {
  const name = requiredText(params, member);
  const group = groups.get(name);
  if (group === undefined) throw invalid(`AutoScalingGroup name not found - AutoScalingGroup ${name} not found`);
  return group;
}

/** The members of InstanceIds, each in one of these states. Throws ValidationError. */
export function membersOf(group: Group, params: Params, states: readonly LifecycleState[]): readonly Member[] {
  return listOf(params, 'InstanceIds').map((id) => {
    const member = group.members.get(id as Member['id']);
    if (member === undefined) throw invalid(`The instance ${id} is not part of Auto Scaling group ${group.name}.`);
    if (!states.includes(member.state)) throw invalid(`The instance ${id} is not in ${states.join(' or ')}.`);
    return member;
  });
}

/** Wherever it is. Throws ValidationError. */
export function anyMember({ groups }: Account, id: string): { readonly group: Group; readonly member: Member } {
  for (const group of groups.values()) {
    const member = group.members.get(id as Member['id']);
    if (member !== undefined) return { group, member };
  }
  throw invalid(`Instance Id not found - No managed instance found for instance ID: ${id}`);
}

/** A template version that exists: as it was asked for, and with its number. Throws ValidationError. */
export async function templateOf({ sources }: Account, specification: Params) {
  const idOrName = textOf(specification, 'LaunchTemplateId') ?? requiredText(specification, 'LaunchTemplateName');
  const version = textOf(specification, 'Version') ?? '$Default';
  const found = await sources.templates.resolve(idOrName, version);
  if (found === undefined) throw invalid(`You must use a valid fully-formed launch template. ${idOrName}, version ${version}, does not exist`);
  const { id, name } = found;
  return { asked: { id, name, version } satisfies TemplateChoice, number: { id, name, version: found.version } satisfies TemplateChoice, found };
}

/** One page by MaxRecords and NextToken. Throws ValidationError, InvalidNextToken. */
export function page<T>(params: Params, all: readonly T[], { normal, most }: { readonly normal: number; readonly most: number }) {
  const size = integer(params, 'MaxRecords', 1, most) ?? normal;
  const token = textOf(params, 'NextToken');
  const start = token === undefined ? 0 : Number(/^from-(\d+)$/.exec(token)?.[1] ?? Number.NaN);
  if (Number.isNaN(start)) throw new ServiceError('InvalidNextToken', 'The NextToken value is not valid.');
  const end = start + size;
  return { items: all.slice(start, end), NextToken: end < all.length ? `from-${end}` : undefined };
}
