import { type CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { DescribeTargetHealthCommand, type ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { Failure } from '../../contract/causes.ts';
import type { Infrastructure } from '../../contract/infrastructure.ts';
import { releasePath } from '../../contract/names.ts';
import { ask, type RolloutClients } from '../aws.ts';
import type { Place } from '../config/parameters.ts';
import { readInfrastructure } from '../infrastructure.ts';
import { type Released, readReleases, type Stored } from '../release/read.ts';
import { bootProblem } from './bootable.ts';
import { type Group, type Refresh, readGroup, readRefresh } from './group.ts';
import { readTemplateVersion, type TemplateVersion } from './template.ts';

/** What the balancer says of an instance (ELBv2 API Reference, TargetHealth). */
export type TargetHealth = { readonly state: string; readonly reason: string | undefined; readonly description: string | undefined };
export type Alarm = { readonly name: string; readonly state: string | undefined };

/** What holds for an environment, whoever asks. */
export type Situation = {
  readonly place: Place;
  readonly infrastructure: Infrastructure;
  readonly group: Group;
  /** The newest refresh of the group. */
  readonly refresh: Refresh | undefined;
  /** The template's default version: the newest of Terraform. */
  readonly base: TemplateVersion | undefined;
  /** The version that the group launches. */
  readonly saved: TemplateVersion | undefined;
  /** Releases that are kept, newest first. */
  readonly releases: readonly Stored[];
  /** The release that last passed smoke everywhere. */
  readonly live: Released | undefined;
};
/** What a deploy of `target` is decided by. */
export type Facts = Situation & {
  readonly target: Released;
  /** What keeps an instance from booting the target, or from booting what is live again. */
  readonly targetProblem: string | undefined;
  readonly wayBackProblem: string | undefined;
  readonly alarms: readonly Alarm[];
  /** Version that the newest refresh went to. */
  readonly towards: TemplateVersion | undefined;
};

const allFields = ['autoScalingGroup', 'launchTemplateId', 'targetGroupArn', 'loadBalancerUrl', 'artifactBucket', 'alarms', 'hooks', 'times'] as const;

/** Throws INFRASTRUCTURE_*, GROUP_MISSING, AWS_*. */
export async function readSituation(clients: RolloutClients, place: Place, signal: AbortSignal): Promise<Situation> {
  const { appRoleArn, ...rest } = (await readInfrastructure(clients.ssm, place, allFields, signal)) as Infrastructure;
  const infrastructure = { ...rest, ...(appRoleArn !== undefined && { appRoleArn }) };
  const { autoScalingGroup, launchTemplateId } = infrastructure;
  const [group, refresh, base, releases] = await Promise.all([
    readGroup(clients.autoScaling, autoScalingGroup, signal),
    readRefresh(clients.autoScaling, autoScalingGroup, signal),
    readTemplateVersion(clients.ec2, launchTemplateId, '$Default', signal),
    readReleases(clients.ssm, place, signal),
  ]);
  const saved = group.templateId === launchTemplateId ? await readTemplateVersion(clients.ec2, launchTemplateId, group.version, signal) : undefined;
  return { place, infrastructure, group, refresh, base, saved, releases, live: labelled(releases, 'live') };
}

/** Throws RELEASE_MISSING, RECORD_INVALID, AWS_*. */
export async function readFacts(clients: RolloutClients, situation: Situation, wanted: number | undefined, signal: AbortSignal): Promise<Facts> {
  const { place, infrastructure, refresh, live, releases } = situation;
  const target = chosen(place, releases, wanted);
  const [targetProblem, wayBackProblem, alarms, towards] = await Promise.all([
    bootProblem(clients, place, target, signal),
    live && live.release !== target.release ? bootProblem(clients, place, live, signal) : undefined,
    readAlarms(clients.cloudWatch, infrastructure.alarms, signal),
    refresh?.version === undefined ? undefined : readTemplateVersion(clients.ec2, infrastructure.launchTemplateId, String(refresh.version), signal),
  ]);
  return { ...situation, target, targetProblem, wayBackProblem, alarms, towards };
}

/** The release that has this label: Parameter Store keeps a label on one version. */
export const labelled = (releases: readonly Stored[], label: string): Released | undefined =>
  releases.flatMap((stored) => ('record' in stored && stored.labels.includes(label) ? [stored] : []))[0];

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

/** Every target of the group by instance id. Throws AWS_*. */
export async function readTargets(
  loadBalancing: ElasticLoadBalancingV2Client,
  targetGroupArn: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, TargetHealth>> {
  const command = new DescribeTargetHealthCommand({ TargetGroupArn: targetGroupArn });
  const answer = await ask('DescribeTargetHealth', targetGroupArn, () => loadBalancing.send(command, { abortSignal: signal }));
  return new Map(
    (answer.TargetHealthDescriptions ?? []).map(({ Target, TargetHealth: health }) => [
      Target?.Id ?? '',
      { state: health?.State ?? '', reason: health?.Reason, description: health?.Description },
    ]),
  );
}
