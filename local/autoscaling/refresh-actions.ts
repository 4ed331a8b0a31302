import { listOf, type Params, ServiceError, textOf } from '../wire/query.ts';
import type { Group } from './group.ts';
import { activeRefresh, endRefresh, type Preferences, rollBack, startRefresh } from './refresh.ts';
import { type Account, flag, type GroupHandler, integer, invalid, notImplemented, refuse, structure, templateOf } from './requests.ts';

const noActive = () => new ServiceError('ActiveInstanceRefreshNotFound', 'No in progress or pending Instance Refresh found.');

function choice<Name extends string>(params: Params, name: string, choices: readonly Name[], normal: Name): Name {
  const given = textOf(params, name) ?? normal;
  const found = choices.find((one) => one === given);
  if (found === undefined) throw invalid(`${name} must be one of ${choices.join(', ')}, not ${given}`);
  return found;
}

/** RefreshPreferences of the API Reference, with its defaults. Throws ValidationError, NotImplemented. */
function preferencesOf(group: Group, params: Params): Preferences {
  refuse(params, 'StartInstanceRefresh', 'CheckpointPercentages', 'CheckpointDelay');
  const min = integer(params, 'MinHealthyPercentage', 0, 100) ?? group.maintenance?.min;
  const max = integer(params, 'MaxHealthyPercentage', 100, 200) ?? group.maintenance?.max;
  if (max !== undefined && min === undefined) throw invalid('If you specify MaxHealthyPercentage, you must also specify MinHealthyPercentage.');
  if (max !== undefined && max - (min ?? 0) > 100)
    throw invalid('The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100.');
  const alarms = listOf(structure(params, 'AlarmSpecification') ?? {}, 'Alarms');
  if (alarms.length > 10) throw invalid('AlarmSpecification holds up to 10 alarms.');
  return {
    minHealthyPercentage: min ?? 90,
    maxHealthyPercentage: max,
    instanceWarmupS: integer(params, 'InstanceWarmup') ?? group.defaultWarmupS ?? group.gracePeriodS,
    skipMatching: flag(params, 'SkipMatching') ?? false,
    autoRollback: flag(params, 'AutoRollback') ?? false,
    bakeTimeS: integer(params, 'BakeTime', 0, 172_800) ?? 0,
    alarms,
    protectedOnes: choice(params, 'ScaleInProtectedInstances', ['Refresh', 'Ignore', 'Wait'], 'Wait'),
    standby: choice(params, 'StandbyInstances', ['Terminate', 'Ignore', 'Wait'], 'Wait'),
  };
}

/** Why the group's saved template is nothing to go back to; undefined if it is (User Guide, rollback, "Considerations"). */
async function irreversible({ sources }: Account, { template }: Group): Promise<string | undefined> {
  if (template.version.startsWith('$')) return `The Auto Scaling group uses the launch template version ${template.version}.`;
  const saved = await sources.templates.resolve(template.id, template.version);
  return saved?.usesResolveSsm ? 'The Auto Scaling group has a launch template that uses a Systems Manager parameter instead of an AMI ID.' : undefined;
}

export const onRefreshes: Readonly<Record<string, GroupHandler>> = {
  async StartInstanceRefresh(group, params, account) {
    if ((textOf(params, 'Strategy') ?? 'Rolling') !== 'Rolling') throw notImplemented('StartInstanceRefresh with Strategy ReplaceRootVolume');
    const inProgress = () => {
      if (activeRefresh(group) === undefined) return;
      throw new ServiceError('InstanceRefreshInProgress', 'An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.');
    };
    inProgress();
    const preferences = preferencesOf(group, structure(params, 'Preferences') ?? {});
    const configuration = structure(params, 'DesiredConfiguration');
    if (configuration !== undefined) refuse(configuration, 'StartInstanceRefresh', 'MixedInstancesPolicy');
    const specification = configuration && structure(configuration, 'LaunchTemplate');
    if (preferences.autoRollback && specification === undefined) {
      const why = 'The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty.';
      throw invalid(`The request isn't valid. ${why} Set AutoRollback to false or specify a desired configuration and try again.`);
    }
    const { id, version } = group.template;
    const { asked, number } = await templateOf(account, specification ?? { LaunchTemplateId: id, Version: version });
    const why = preferences.autoRollback ? await irreversible(account, group) : undefined;
    if (why !== undefined) throw invalid(`The AutoRollback parameter cannot be set to true. ${why}`);
    const states = await Promise.all(preferences.alarms.map(async (name) => ({ name, state: await account.sources.alarmState(name) })));
    const bad = states.find(({ state }) => state !== 'OK');
    if (bad !== undefined)
      throw invalid(`The alarm ${bad.name} is in the ${bad.state ?? 'unknown'} state. Every alarm of AlarmSpecification must be in the OK state.`);
    // Two that came together: what was asked above took a while.
    inProgress();
    const refresh = startRefresh(group, { preferences, desired: specification && asked, target: number }, performance.now());
    return { InstanceRefreshId: refresh.id };
  },
  async RollbackInstanceRefresh(group, _params, account) {
    const refresh = activeRefresh(group);
    if (refresh === undefined || refresh.status === 'Cancelling') throw noActive();
    const why = refresh.desired === undefined ? 'No desired configuration is specified for the instance refresh.' : await irreversible(account, group);
    if (why !== undefined) throw new ServiceError('IrreversibleInstanceRefresh', why);
    // It may have ended while the template was looked up; one that already goes back goes on.
    if (activeRefresh(group) !== refresh) throw noActive();
    if (refresh.status !== 'RollbackInProgress') rollBack(group, refresh, 'Manual rollback initiated by a user.', performance.now());
    return { InstanceRefreshId: refresh.id };
  },
  CancelInstanceRefresh(group, params) {
    const refresh = activeRefresh(group);
    if (refresh === undefined) throw noActive();
    if (flag(params, 'WaitForTransitioningInstances') === false) endRefresh(refresh, 'Cancelled', 'Cancelled due to user request.');
    else Object.assign(refresh, { status: 'Cancelling', reason: 'Cancelled due to user request.' });
    return { InstanceRefreshId: refresh.id };
  },
};
