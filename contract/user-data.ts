import type { XStatic } from 'typebox/schema';
import { durationMs, type ReleaseNumber, type Sha256, sha256Hex, slug } from './names.ts';

const names = { type: 'string', minLength: 1, maxLength: 255 } as const;

/** Every time that infrastructure and agent must agree on; written by Terraform, in milliseconds. */
export const times = {
  type: 'object',
  additionalProperties: false,
  required: [
    'bootBudgetMs',
    'healthIntervalMs',
    'idleTimeoutMs',
    'deregistrationDelayMs',
    'warmUpMs',
    'graceMs',
    'launchHeartbeatMs',
    'terminateHeartbeatMs',
    'stopTimeoutMs',
  ],
  properties: {
    bootBudgetMs: { ...durationMs, description: 'From agent start to the first start of gunicorn; transient failures are retried inside it.' },
    healthIntervalMs: { ...durationMs, description: "The target group's health check interval." },
    idleTimeoutMs: { ...durationMs, description: "The load balancer's idle timeout; gunicorn keeps connections longer." },
    deregistrationDelayMs: { ...durationMs, description: "The target group's deregistration delay." },
    warmUpMs: { ...durationMs, description: "The instance refresh's warm-up." },
    graceMs: { ...durationMs, description: "The group's health check grace period." },
    launchHeartbeatMs: { ...durationMs, description: 'Heartbeat timeout of the launch hook.' },
    terminateHeartbeatMs: { ...durationMs, description: 'Heartbeat timeout of the terminate hook.' },
    stopTimeoutMs: { ...durationMs, description: 'Drain, graceful timeout and margin: after this the service is killed.' },
  },
} as const;

/**
 * JSON Schema of the role of the app's own AWS calls. Partitions: IAM User Guide, "ARN format"; path and name: IAM API Reference, CreateRole.
 * Where the field is absent the app has no AWS access.
 */
export const appRoleArn = {
  type: 'string',
  maxLength: 1024,
  pattern: '^arn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:role/(?:[!-~]+/)?[\\w+=,.@-]{1,64}$',
  description: "The role of the app's own AWS calls. Without it the app has no credentials.",
} as const;

/** Lifecycle hooks of the group, by the agent's two occasions to answer one. */
export const hooks = {
  type: 'object',
  additionalProperties: false,
  required: ['launch', 'terminate'],
  properties: {
    launch: { ...names, description: 'Name of the launch lifecycle hook.' },
    terminate: { ...names, description: 'Name of the terminate lifecycle hook.' },
  },
} as const;

/** JSON Schema of one launch-template version's user data. Without `release` and `recordSha256` it is the base version's. */
export const userDataSchema = {
  $id: 'user-data',
  type: 'object',
  additionalProperties: false,
  required: ['schemaVersion', 'app', 'env', 'autoScalingGroup', 'hooks', 'times'],
  dependentRequired: { release: ['recordSha256'], recordSha256: ['release'] },
  properties: {
    schemaVersion: { const: 1 },
    app: { ...slug, description: 'The app, as in its [tool.pinion].' },
    env: { ...slug, description: 'The environment, such as production.' },
    release: { type: 'integer', minimum: 1, description: 'Version of the release parameter.' },
    recordSha256: { ...sha256Hex, description: 'sha256 of the exact bytes of that version.' },
    autoScalingGroup: { ...names, description: 'The group whose hooks the agent answers.' },
    hooks,
    times,
    appRoleArn,
  },
} as const;

type Base = Omit<XStatic<typeof userDataSchema>, 'release' | 'recordSha256'>;
/** User data that names a release: all an agent boots from. */
export type UserData = Base & { readonly release: ReleaseNumber; readonly recordSha256: Sha256 };
/** EC2 allows 16 KB; pinion writes about 700 bytes, so more is not pinion's. */
export const userDataLimitBytes = 4096;
