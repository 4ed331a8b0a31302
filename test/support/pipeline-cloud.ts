import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { type CauseCode, Failure } from '../../contract/causes.ts';
import { startMoto } from '../../local/moto.ts';
import type { Clients } from '../../pipeline/aws.ts';

type Test = { teardown(fn: () => unknown): unknown };

/** What the SDK, in this process or in another, needs to reach `endpoint`. */
export const awsEnvironment = (endpoint: string): NodeJS.ProcessEnv => ({
  AWS_ENDPOINT_URL: endpoint,
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
});

/** The CLI's clients at `endpoint`, in one attempt. */
export function clientsOf(t: Test, endpoint: string): Clients {
  const options = { endpoint, region: 'eu-west-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' }, maxAttempts: 1 };
  const clients = { s3: new S3Client({ ...options, forcePathStyle: true }), ssm: new SSMClient(options) };
  t.teardown(() => clients.s3.destroy());
  t.teardown(() => clients.ssm.destroy());
  return clients;
}

export type TestCloud = Clients & {
  readonly endpoint: string;
  /** Makes a bucket and the infrastructure document of app `shop` in `env` that names it; gives the bucket's name. */
  addEnvironment(env: string, versioning?: 'Enabled' | 'Suspended'): Promise<string>;
};

/** moto with the CLI's clients, until the end of the test. */
export async function startTestCloud(t: Test): Promise<TestCloud> {
  const moto = await startMoto();
  t.teardown(() => moto.stop());
  const { s3, ssm } = clientsOf(t, moto.endpoint);
  return {
    endpoint: moto.endpoint,
    s3,
    ssm,
    async addEnvironment(env, versioning = 'Enabled') {
      const Bucket = `artifacts-${env}`;
      await s3.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } }));
      if (versioning === 'Enabled') await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: versioning } }));
      const Value = JSON.stringify({ schemaVersion: 1, artifactBucket: Bucket });
      await ssm.send(new PutParameterCommand({ Name: `/pinion/shop/${env}/infrastructure`, Type: 'String', Value, Overwrite: true }));
      return Bucket;
    },
  };
}

/** The Failure that `work` ends with; throws when it ends otherwise or with another code. */
export async function failureOf(code: CauseCode, work: Promise<unknown>): Promise<Failure> {
  const ended = await work.then(
    () => 'nothing was thrown',
    (thrown: unknown) => thrown,
  );
  if (ended instanceof Failure && ended.code === code) return ended;
  throw new Error(`expected ${code}, met: ${ended}`, { cause: ended });
}
