import { type CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { Failure } from '../../contract/causes.ts';
import { releasePath } from '../../contract/names.ts';
import { ask, type RolloutClients } from '../aws.ts';
import type { Place } from '../config/parameters.ts';
import type { Released, Stored } from '../release/read.ts';
import { bootProblem } from './bootable.ts';
import { readTargets, type Situation, type TargetHealth } from './situation.ts';
import { readTemplateVersion, type TemplateVersion } from './template.ts';

export type Alarm = { readonly name: string; readonly state: string | undefined };

/** What a deploy of `target` is decided by. */
export type Facts = Situation & {
  readonly target: Released;
  /** What keeps an instance from booting the target, or from booting what is live again. */
  readonly targetProblem: string | undefined;
  readonly wayBackProblem: string | undefined;
  readonly alarms: readonly Alarm[];
  readonly targets: ReadonlyMap<string, TargetHealth>;
  /** Version that the newest refresh went to. */
  readonly towards: TemplateVersion | undefined;
};

/** Throws RELEASE_MISSING, RECORD_INVALID, AWS_*. */
export async function readFacts(clients: RolloutClients, situation: Situation, wanted: number | undefined, signal: AbortSignal): Promise<Facts> {
  const { place, infrastructure, refresh, live, releases } = situation;
  const target = chosen(place, releases, wanted);
  const [targets, targetProblem, wayBackProblem, alarms, towards] = await Promise.all([
    readTargets(clients.loadBalancing, infrastructure.targetGroupArn, signal),
    bootProblem(clients, place, target, signal),
    live && live.release !== target.release ? bootProblem(clients, place, live, signal) : undefined,
    readAlarms(clients.cloudWatch, infrastructure.alarms, signal),
    refresh?.version === undefined ? undefined : readTemplateVersion(clients.ec2, infrastructure.launchTemplateId, String(refresh.version), signal),
  ]);
  return { ...situation, target, targets, targetProblem, wayBackProblem, alarms, towards };
}

function chosen(place: Place, releases: readonly Stored[], wanted: number | undefined): Released {
  const found = wanted === undefined ? releases[0] : releases.find(({ release }) => release === wanted);
  if (found === undefined) throw new Failure('RELEASE_MISSING', { ...place, wanted: wanted === undefined ? 'release' : `release ${wanted}` });
  if ('problem' in found) throw new Failure('RECORD_INVALID', { parameter: releasePath(place), version: found.release, ...found.problem });
  return found;
}

/** The state of every alarm, by name; undefined for one that does not exist. Throws AWS_*. */
export async function readAlarms(cloudWatch: CloudWatchClient, names: readonly string[], signal: AbortSignal): Promise<readonly Alarm[]> {
  if (names.length === 0) return [];
  const command = new DescribeAlarmsCommand({ AlarmNames: [...names], AlarmTypes: ['MetricAlarm', 'CompositeAlarm'] });
  const answer = await ask('DescribeAlarms', names.join(', '), () => cloudWatch.send(command, { abortSignal: signal }));
  const states = new Map([...(answer.MetricAlarms ?? []), ...(answer.CompositeAlarms ?? [])].map((alarm) => [alarm.AlarmName, alarm.StateValue]));
  return names.map((name) => ({ name, state: states.get(name) }));
}
