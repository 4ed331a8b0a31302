import type { S3Client } from '@aws-sdk/client-s3';
import { SSMClient } from '@aws-sdk/client-ssm';
import { isThrottle } from '../contract/aws-errors.ts';
import { Failure } from '../contract/causes.ts';
import { type ClientLimits, clientOptions, learning, refusalOf } from './aws-client.ts';
import type { Imds } from './imds.ts';

/** `s3` loads its client at the first call (50 ms) and gives the same one after; a boot whose tree is on disk never needs it. */
export type Clients = { readonly ssm: SSMClient; readonly s3: () => Promise<S3Client> };

/** The AWS clients of a boot, with one Region and one set of credentials. */
export function createClients(imds: Imds | undefined, limits: ClientLimits): Clients {
  const options = clientOptions(imds, limits);
  const ssm = learning(new SSMClient(options));
  let s3: Promise<S3Client> | undefined;
  const loadS3 = async () => {
    const { S3Client } = await import('@aws-sdk/client-s3');
    const { AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 } = process.env;
    const forcePathStyle = (AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL) !== undefined;
    // The client that has them already: credentials are fetched, and refreshed, once for both.
    // The download hashes every byte itself: a second checksum would only cost time.
    const shared = { region: ssm.config.region, credentials: ssm.config.credentials, responseChecksumValidation: 'WHEN_REQUIRED' } as const;
    return learning(new S3Client({ ...options, ...shared, forcePathStyle }));
  };
  return {
    ssm,
    s3: () => {
      s3 ??= loadS3();
      return s3;
    },
  };
}

/** What was asked of which service; the names go into the sentence. */
export type ServiceCall =
  | { readonly service: 'ssm'; readonly action: string; readonly parameter: string }
  | { readonly service: 's3'; readonly action: string; readonly object: string };

/**
 * Whether KMS, behind Parameter Store or S3, refused the key, which no retry changes. Both pass KMS's message on
 * (aws-env#29: `AccessDeniedException: … (Service: AWSKMS; Status Code: 400; …`; aws-ssm-copy#10: `InvalidKeyId: … (Service: AWSKMS; …`).
 */
export function isKeyRefusal(thrown: unknown): thrown is Error {
  const { name, message } = thrown as Error;
  if (isThrottle(name) || /Throttl|Internal|Status Code: 5/.test(message)) return false;
  return name === 'InvalidKeyId' || /^KMS.*Exception$/.test(name) || /Service: (AWS)?KMS\b|\bkms:[A-Z]/i.test(message);
}

/**
 * What the SDK threw, as one Failure: CREDENTIALS_UNAVAILABLE, REGION_MISSING, CLOCK_SKEWED; SSM_THROTTLED, SSM_UNAVAILABLE, SSM_DENIED; S3_UNAVAILABLE,
 * ARTIFACT_DENIED, ARTIFACT_MISSING; INTERNAL_ERROR for a request that the service calls wrong. Names and codes only: a service's message may quote anything.
 */
export function serviceFailure(thrown: unknown, call: ServiceCall): Failure {
  const refusal = refusalOf(thrown);
  if (refusal instanceof Failure) return refusal;
  const { name, status, detail, isThrottled, isWrong } = refusal;
  const options = { cause: thrown };
  const isDenied = isWrong && (name.startsWith('AccessDenied') || status === 403 || isKeyRefusal(thrown));
  if (isWrong && !isDenied && status !== 404) {
    return new Failure('INTERNAL_ERROR', { detail: `${call.service} refused ${call.action}: ${detail}` }, options);
  }
  if (call.service === 'ssm') {
    const { action, parameter } = call;
    if (isThrottled) return new Failure('SSM_THROTTLED', { action }, options);
    if (isDenied) return new Failure('SSM_DENIED', { action, parameter }, options);
    return new Failure('SSM_UNAVAILABLE', { action, detail }, options);
  }
  const { action, object } = call;
  if (isDenied) return new Failure('ARTIFACT_DENIED', { action, object }, options);
  if (status === 404) return new Failure('ARTIFACT_MISSING', { object }, options);
  return new Failure('S3_UNAVAILABLE', { action, object, detail }, options);
}
