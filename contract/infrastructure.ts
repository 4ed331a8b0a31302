import type { XStatic } from 'typebox/schema';
import type { ReleaseNumber, Sha256 } from './names.ts';
import { appRoleArn, hooks, times, type UserData } from './user-data.ts';

const name = { type: 'string', minLength: 1, maxLength: 2048 } as const;

/** JSON Schema of what Terraform publishes at `/pinion/<app>/<env>/infrastructure`: all that a deploy may rely on. */
export const infrastructureSchema = {
  $id: 'infrastructure',
  type: 'object',
  additionalProperties: false,
  required: ['schemaVersion', 'autoScalingGroup', 'launchTemplateId', 'targetGroupArn', 'loadBalancerUrl', 'artifactBucket', 'alarms', 'hooks', 'times'],
  properties: {
    schemaVersion: { const: 1 },
    autoScalingGroup: { ...name, description: 'The group that a deploy refreshes.' },
    launchTemplateId: { ...name, description: 'The launch template whose versions carry releases.' },
    targetGroupArn: { ...name, description: 'Where instances are registered.' },
    loadBalancerUrl: { ...name, format: 'uri', description: 'Where smoke tests ask.' },
    artifactBucket: { type: 'string', minLength: 3, maxLength: 63, description: 'One bucket for all environments of an app.' },
    alarms: { type: 'array', items: name, uniqueItems: true, description: 'Names of the alarms that roll a deploy back.' },
    hooks,
    times,
    appRoleArn,
  },
} as const;

export type Infrastructure = XStatic<typeof infrastructureSchema>;

/** The user data of a launch-template version that boots `release`, in its one spelling for whatever launches an instance. */
export function composeUserData(
  place: { readonly app: string; readonly env: string },
  { autoScalingGroup, hooks, times, appRoleArn }: Pick<Infrastructure, 'autoScalingGroup' | 'hooks' | 'times' | 'appRoleArn'>,
  release: ReleaseNumber,
  recordSha256: Sha256,
): UserData {
  const role = appRoleArn !== undefined && { appRoleArn };
  return { schemaVersion: 1, app: place.app, env: place.env, release, recordSha256, autoScalingGroup, hooks, times, ...role };
}
