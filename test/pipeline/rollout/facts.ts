import { composeUserData, type Infrastructure } from '../../../contract/infrastructure.ts';
import type { InstanceId, ReleaseNumber, Sha256 } from '../../../contract/names.ts';
import type { ReleaseRecord } from '../../../contract/release.ts';
import type { Released } from '../../../pipeline/release/read.ts';
import type { Facts } from '../../../pipeline/rollout/facts.ts';
import type { Group, Instance } from '../../../pipeline/rollout/group.ts';
import type { TemplateVersion } from '../../../pipeline/rollout/template.ts';
import { infrastructure as given } from '../../support/cloud.ts';

export const place = { app: 'shop', env: 'production' };
export const infrastructure: Infrastructure = {
  ...given,
  autoScalingGroup: 'shop-production',
  launchTemplateId: 'lt-1',
  alarms: ['5xx', 'boots'],
  times: { ...given.times, stopTimeoutMs: 90_000 },
};

const record: Omit<ReleaseRecord, 'commit' | 'config'> = {
  ...{ schemaVersion: 1, ...place, python: '3.13', platform: 'linux_x86_64', minAgent: '0.1.0' },
  ...{ createdAt: '2026-01-01T00:00:00.000Z', createdBy: 'somebody', note: '' },
  artifact: { bucket: 'artifacts', key: 'shop/a', versionId: 'v', sha256: 'a'.repeat(64) as Sha256, sizeBytes: 1, unpackedBytes: 1, files: 1 },
};

/** Release N with config of version N. */
export const released = (number: number): Released => ({
  release: number as ReleaseNumber,
  recordSha256: String(number).repeat(64).slice(0, 64) as Sha256,
  record: { ...record, commit: `c${number}`, config: { GREETING: number, KEY: 1 } },
});

/** Template version `number`: the base where no release is given. */
export const version = (number: number, release?: Released, data = 'base'): TemplateVersion => ({
  number,
  data,
  imageId: 'ami-1',
  userData: release === undefined ? '' : JSON.stringify(composeUserData(place, infrastructure, release.release, release.recordSha256)),
  release: release && { number: release.release, recordSha256: release.recordSha256 },
});

export const instance = (at: number, more: Partial<Instance> = {}): Instance => ({
  id: `i-${at}` as InstanceId,
  lifecycle: 'InService',
  isHealthy: true,
  version: 4,
  isProtected: false,
  ...more,
});

export const group: Group = {
  name: infrastructure.autoScalingGroup,
  minSize: 1,
  maxSize: 10,
  desired: 4,
  templateId: 'lt-1',
  version: '4',
  suspended: [],
  targetGroups: [infrastructure.targetGroupArn],
  healthCheckType: 'ELB',
  instances: [1, 2, 3, 4].map((at) => instance(at)),
};

const stored = (number: number, ...labels: string[]) => ({ ...released(number), labels });

/** Release 6 is live on version 4, made from base version 3; release 7 is the newest. */
export const facts: Facts = {
  place,
  infrastructure,
  group,
  refresh: undefined,
  towards: undefined,
  base: version(3),
  saved: version(4, released(6)),
  releases: [stored(7), stored(6, 'live'), stored(5, 'previous')],
  live: released(6),
  target: released(7),
  targetProblem: undefined,
  wayBackProblem: undefined,
  targets: new Map(group.instances.map(({ id }) => [id as string, { state: 'healthy', reason: undefined, description: undefined }])),
  alarms: infrastructure.alarms.map((name) => ({ name, state: 'OK' })),
};
