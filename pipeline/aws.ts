import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { EC2Client } from '@aws-sdk/client-ec2';
import type { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SSMClient } from '@aws-sdk/client-ssm';
import { credentialErrors, isThrottle, passingErrors } from '../contract/aws-errors.ts';
import { Failure } from '../contract/causes.ts';

export type Clients = { readonly s3: S3Client; readonly ssm: SSMClient };

/** What says how a fleet does. */
export type FleetClients = {
  readonly ssm: SSMClient;
  readonly autoScaling: AutoScalingClient;
  readonly ec2: EC2Client;
  readonly loadBalancing: ElasticLoadBalancingV2Client;
};
export type RolloutClients = Clients & FleetClients & { readonly cloudWatch: CloudWatchClient };

/** A stalled connection is given up after this long without a byte; what was asked is asked again. */
const timeouts = { connectionTimeout: 5_000, socketTimeout: 30_000 };
const attempts = 4;

/**
 * The AWS clients of the CLI. Region, credentials and endpoints come from the SDK's own variables and profiles. Loaded when asked for:
 * the two cost 90 ms.
 */
export async function createClients(env: NodeJS.ProcessEnv = process.env): Promise<Clients> {
  const [{ S3Client }, { SSMClient }] = await Promise.all([import('@aws-sdk/client-s3'), import('@aws-sdk/client-ssm')]);
  // An emulator's address has no subdomain for a bucket.
  const forcePathStyle = (env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL) !== undefined;
  return { s3: new S3Client({ ...options, forcePathStyle }), ssm: new SSMClient(options) };
}

/** The clients of a rollout, under the same rules. */
export async function createRolloutClients(env: NodeJS.ProcessEnv = process.env): Promise<RolloutClients> {
  const [clients, fleet, { CloudWatchClient }] = await Promise.all([createClients(env), createFleetClients(), import('@aws-sdk/client-cloudwatch')]);
  return { ...fleet, ...clients, cloudWatch: new CloudWatchClient(options) };
}

/** Those that say what a fleet does now: each of the others would cost a look of `status` ten MiB. */
export async function createFleetClients(): Promise<FleetClients> {
  const [{ SSMClient }, { AutoScalingClient }, { EC2Client }, { ElasticLoadBalancingV2Client }] = await Promise.all([
    import('@aws-sdk/client-ssm'),
    import('@aws-sdk/client-auto-scaling'),
    import('@aws-sdk/client-ec2'),
    import('@aws-sdk/client-elastic-load-balancing-v2'),
  ]);
  return {
    ssm: new SSMClient(options),
    autoScaling: new AutoScalingClient(options),
    ec2: new EC2Client(options),
    loadBalancing: new ElasticLoadBalancingV2Client(options),
  };
}

/** The SDK's default writes warnings to stderr between our lines. */
export const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };
const options = { maxAttempts: attempts, requestHandler: timeouts, logger: silent };

/** Does `work`, and turns what the SDK throws into one Failure that names the action and the resource. Throws what `awsFailure` gives. */
export async function ask<T>(action: string, resource: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw awsFailure(thrown, action, resource);
  }
}

type SdkError = Error & {
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number };
};

/** Status of the answer behind an SDK error, also behind one whose body could not be read. */
export const statusOf = (thrown: unknown): number | undefined =>
  (thrown as SdkError | undefined)?.$metadata?.httpStatusCode ?? (thrown as SdkError | undefined)?.$response?.statusCode;

const networkErrors = /^(ECONN|ENOTFOUND|EAI_|EPIPE|ENET|EHOST|ETIMEDOUT|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED)/;

/**
 * What the SDK threw as a Failure: CREDENTIALS_UNAVAILABLE, REGION_MISSING, BUCKET_MISSING, AWS_DENIED, AWS_REFUSED, AWS_UNAVAILABLE.
 * Anything that is not the SDK's comes back as it is.
 */
export function awsFailure(thrown: unknown, action: string, resource: string): unknown {
  if (thrown instanceof Failure || !(thrown instanceof Error) || thrown.name === 'AbortError') return thrown;
  const { name, message, code } = thrown as SdkError;
  const status = statusOf(thrown);
  const options = { cause: thrown };
  if (/^Region (is missing|not accepted)/.test(message)) return new Failure('REGION_MISSING', {}, options);
  if (credentialErrors.has(name)) return new Failure('CREDENTIALS_UNAVAILABLE', { detail: status === undefined ? message : name }, options);
  if (name === 'NoSuchBucket') return new Failure('BUCKET_MISSING', { bucket: resource.replace(/^s3:\/\/|\/.*$/g, '') }, options);
  const isPassing = passingErrors.has(name) || isThrottle(name) || status === 408 || status === 429;
  if (!isPassing && (status === 403 || name.startsWith('AccessDenied'))) {
    // Most services say whom they denied it; HeadObject's answer has no body.
    const [, role] = /\b(arn:aws[\w-]*:(?:sts|iam)::\d{12}:[\w+=,.@/-]+)/.exec(message) ?? [];
    return new Failure('AWS_DENIED', { action, resource, who: role === undefined ? '' : ` to ${role}` }, options);
  }
  if (status !== undefined && status >= 400 && status < 500 && !isPassing) {
    // Parameter Store quotes a value that it refuses.
    return new Failure('AWS_REFUSED', { action, resource, detail: action === 'PutParameter' ? name : `${name}: ${message}` }, options);
  }
  if (status === undefined && name !== 'TimeoutError' && !networkErrors.test(code ?? '')) return thrown;
  return new Failure('AWS_UNAVAILABLE', { action, resource, detail: code ?? (status === undefined ? name : `${status} ${name}`) }, options);
}
