/** What the names of AWS errors mean, for agent and CLI alike (AWS: Common Errors; the SDK's retry classification). */

/** There are no credentials, or none that AWS takes yet: those of a new instance reach all of AWS only after seconds. */
export const credentialErrors: ReadonlySet<string> = new Set([
  'CredentialsProviderError',
  'ProviderError',
  'TokenProviderError',
  'InstanceMetadataV1FallbackError',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidToken',
  'UnrecognizedClientException',
]);

const throttles = /^(Throttl|RequestThrottled|TooManyRequests|TooManyUpdates|RequestLimitExceeded|SlowDown|BandwidthLimitExceeded)/;
export const isThrottle = (name: string): boolean => throttles.test(name);

/** Client errors by their status that another attempt mends: the SDK takes the service's time from such an answer, and signs the next request with it. */
export const passingErrors: ReadonlySet<string> = new Set([
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'RequestExpired',
  'RequestInTheFuture',
  'InvalidSignatureException',
]);
