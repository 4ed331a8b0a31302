import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SSMClient } from '@aws-sdk/client-ssm';
import type { STSClient } from '@aws-sdk/client-sts';
import { fromInstanceMetadata } from '@smithy/credential-provider-imds';
import { credentialErrors, isThrottle, passingErrors } from '../contract/aws-errors.ts';
import { Failure } from '../contract/causes.ts';
import type { Imds } from './imds.ts';
import type { Limits } from './limits.ts';

/** What every AWS client of the agent has in common. No client is loaded here: the boot needs those of `aws.ts`, the agent those of CloudWatch, STS and Auto Scaling. */
export type ClientLimits = Pick<Limits, 'imdsTimeoutMs' | 'connectTimeoutMs' | 'requestTimeoutMs'>;

/**
 * The options of a client. On a host (`imds` given) Region and credentials come from the metadata service; without it from the SDK's default chain.
 * Endpoints come only from the SDK's own variables (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SSM, …). One attempt a call: who calls retries.
 */
export const clientOptions = (imds: Imds | undefined, limits: ClientLimits) => ({
  maxAttempts: 1,
  requestHandler: {
    connectionTimeout: limits.connectTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    socketTimeout: limits.requestTimeoutMs,
    // Without it the handler only logs a warning and waits on.
    throwOnRequestTimeout: true,
  },
  // The SDK's default writes warnings to stderr, which is for the one cause line.
  logger: silent,
  ...(imds && { region: regionOf(imds), credentials: roleCredentials(limits) }),
});

/** Past this the strictest services refuse a request for its time (the SDK's own threshold). */
const skewMs = 240_000;

/**
 * The client, with what a refusal teaches. F44: credentials may end before the time they came with; those that a service refuses are asked for anew.
 * F10: the SDK takes the service's time from every answer, and signs the next request with it. A request whose own time was wrong fails as CLOCK_SKEWED.
 */
export function learning<Client extends SSMClient | S3Client | CloudWatchClient | STSClient | AutoScalingClient>(client: Client): Client {
  const { config, middlewareStack } = client as SSMClient;
  middlewareStack.add(
    (next) => async (args) => {
      const signedAheadMs = config.systemClockOffset;
      try {
        return await next(args);
      } catch (thrown) {
        const { name } = thrown as Error;
        if (credentialErrors.has(name)) await config.credentials({ forceRefresh: true }).catch(() => {});
        const offMs = Math.abs(config.systemClockOffset - signedAheadMs);
        if (offMs < skewMs || !(passingErrors.has(name) || name === 'SignatureDoesNotMatch')) throw thrown;
        throw new Failure('CLOCK_SKEWED', { seconds: Math.round(offMs / 1000), service: config.serviceId }, { cause: thrown });
      }
    },
    { step: 'initialize', name: 'learnFromRefusal' },
  );
  return client;
}

type SdkError = Error & {
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number };
};

/** What one attempt met, before it is known which service was asked. `detail` is a name or a code: a service's own message may quote anything. */
export type Refusal = {
  readonly name: string;
  readonly status: number | undefined;
  readonly detail: string;
  readonly isThrottled: boolean;
  /** The service calls the request itself wrong, and no other attempt mends that. */
  readonly isWrong: boolean;
};

/** What the SDK threw: a Failure where it is the same for every service (REGION_MISSING, CREDENTIALS_UNAVAILABLE, CLOCK_SKEWED), else what it says. */
export function refusalOf(thrown: unknown): Failure | Refusal {
  if (thrown instanceof Failure) return thrown;
  const { name, message, code, $metadata, $response } = thrown as SdkError;
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  const options = { cause: thrown };
  if (message === 'Region is missing') return new Failure('REGION_MISSING', {}, options);
  if (credentialErrors.has(name)) return new Failure('CREDENTIALS_UNAVAILABLE', { detail: status === undefined ? message : name }, options);
  const isThrottled = isThrottle(name) || status === 429;
  const isWrong = status !== undefined && status >= 400 && status < 500 && !isThrottled && !passingErrors.has(name);
  return { name, status, detail: code ?? (status === undefined ? name : `${status} ${name}`), isThrottled, isWrong };
}

const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** The instance role's credentials. A provider that met one timeout or 403 never asks for a token again (credential-provider-imds 4.5): it is replaced. */
function roleCredentials({ imdsTimeoutMs }: ClientLimits): ReturnType<typeof fromInstanceMetadata> {
  const provider = () => fromInstanceMetadata({ ec2MetadataV1Disabled: true, timeout: imdsTimeoutMs, maxRetries: 2, logger: silent });
  let current = provider();
  return async () => {
    try {
      return await current();
    } catch (thrown) {
      current = provider();
      throw thrown;
    }
  };
}

function regionOf(imds: Imds): () => Promise<string> {
  let region: string | undefined;
  return async () => {
    // Bounded by the metadata client's own timeouts.
    region ??= await imds.get('/latest/meta-data/placement/region', neverAborted);
    if (region === undefined) throw new Failure('REGION_MISSING', {});
    return region;
  };
}

const neverAborted = new AbortController().signal;
