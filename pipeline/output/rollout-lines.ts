import type { Deployed, Planned } from '../rollout/deploy.ts';
import type { RolloutEvent } from '../rollout/events.ts';
import type { FleetStatus, InstanceStatus } from '../rollout/status.ts';
import { changeText } from './change-text.ts';

/** One line for each thing that a rollout says. */
export function rolloutLine(event: RolloutEvent): string {
  switch (event.event) {
    case 'note':
      return `note: ${event.text}`;
    case 'plan': {
      const what = { nothing: 'nothing to do', prove: 'smoke alone: it runs already', first: 'first deploy', refresh: 'instance refresh' }[event.kind];
      return `${event.purpose} of release ${event.release} to ${count(event.instances, 'instance')}: ${what}${event.expectedSeconds > 0 ? `, about ${event.expectedSeconds} s` : ''}`;
    }
    case 'started':
      return `started: template version ${event.version}${event.refresh === undefined ? '' : `, refresh ${event.refresh}`}; pinion wait attaches to it from anywhere`;
    case 'progress':
      return `${event.status}${event.percentage === undefined ? '' : ` ${event.percentage} %`}: ${event.serving} of ${event.desired} serve the new version, ${event.starting} starting or ending, ${event.others} on others`;
    case 'host':
      return `${event.instance} (${event.kind}) ${event.cause}: ${event.line}`;
    case 'smoke':
      return `smoke ${event.passed ? 'passed' : 'failed'} after ${count(event.requests, 'request')}: ${event.detail}`;
    case 'undo':
      return `undoing it: ${event.reason}. ${event.how}`;
    case 'slow':
      return `${event.detail}; looks again in ${Math.round(event.nextLookMs / 1_000)} s`;
    case 'live':
      return `release ${event.release} is live${event.previous === undefined ? '' : `, ${event.previous} is the one before`}`;
  }
}

export const deployedLine = ({ outcome, release, version, seconds }: Deployed): string =>
  outcome === 'live'
    ? `release ${release} is live on template version ${version ?? 'unknown'}, after ${seconds} s`
    : `nothing to do: release ${release} is live on today's base`;

const gone = 'nothing';

export function plannedLines({ plan, difference }: Planned): readonly string[] {
  const { from, to, artifact, commit, config, base, parameterStore } = difference;
  const change = (name: string, before: string | undefined, after: string) => (before === after ? `${name} unchanged` : `${name} ${before ?? gone} → ${after}`);
  const { preferences } = plan;
  const calls = parameterStore.callsPerBoot * parameterStore.instancesAtOnce;
  return [
    `plan: ${plan.kind}, release ${from ?? gone} → ${to}${plan.version === undefined ? ', a new template version' : `, template version ${plan.version}`}`,
    change('artifact', artifact.from?.slice(0, 12), artifact.to.slice(0, 12)),
    change('commit', commit.from, commit.to),
    config.length === 0 ? 'config unchanged' : `config ${config.map(changeText).join(', ')}`,
    base === undefined ? 'base version unchanged' : `base version ${base.to}: image ${base.imageFrom ?? gone} → ${base.imageTo ?? gone}`,
    `healthy ${preferences.minHealthyPercentage} to ${preferences.maxHealthyPercentage} %, warm-up ${preferences.warmUpSeconds} s, bake ${preferences.bakeSeconds} s, alarms ${preferences.alarms.join(', ') || 'none'}`,
    `Parameter Store: ${count(parameterStore.callsPerBoot, 'call')} a boot, ${parameterStore.instancesAtOnce} at once: ${calls} calls, at ${parameterStore.callsPerSecond} a second for the account`,
    `about ${plan.expectedSeconds} s`,
    ...plan.notes.map((note) => `note: ${note}`),
  ];
}

export function statusLines(status: FleetStatus): readonly string[] {
  const { runs, live, previous, newerBase, refresh, suspended } = status;
  const named = runs.release === undefined ? 'no release' : `release ${runs.release} (template version ${runs.version})`;
  return [
    `${status.app} in ${status.env}: ${named}${runs.release === undefined || runs.isProven ? '' : ', unproven: it never passed smoke'}; ${status.serving} of ${status.desired} serve`,
    `live ${live ?? 'none'}, previous ${previous ?? 'none'}`,
    ...(refresh === undefined ? [] : [refreshText(refresh)]),
    ...(newerBase === undefined ? [] : [`base version ${newerBase} waits: the next deploy takes it`]),
    ...(suspended.length === 0 ? [] : [`suspended: ${suspended.join(', ')}`]),
    ...status.instances.flatMap(instanceLines),
  ];
}

function refreshText({ status, isUnderWay, percentage, reason, release }: NonNullable<FleetStatus['refresh']>): string {
  const goal = release === undefined ? '' : ` to release ${release}`;
  return `${isUnderWay ? 'under way' : 'last refresh'}${goal}: ${status}${isUnderWay ? ` ${percentage} %` : ''}${reason === undefined ? '' : `: ${reason}`}`;
}

function instanceLines({ id, release, version, lifecycle, target, reason, ageSeconds, said }: InstanceStatus): readonly string[] {
  const age = ageSeconds === undefined ? '' : `  ${ageText(ageSeconds)}`;
  const line = `${id}  release ${release ?? '-'}  version ${version ?? '-'}  ${lifecycle}  ${target ?? 'no target'}${reason === undefined ? '' : ` (${reason})`}${age}`;
  return said === undefined ? [line] : [line, `    ${said.cause}: ${said.line}`];
}

const ageText = (seconds: number): string =>
  seconds < 120 ? `${seconds} s` : seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
