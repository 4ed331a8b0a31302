import { randomBytes } from 'node:crypto';
import { Failure } from '../contract/causes.ts';
import type { Infrastructure } from '../contract/infrastructure.ts';
import { infrastructurePath } from '../contract/names.ts';
import { ask, type Clients, silent } from '../pipeline/aws.ts';
import type { Place } from '../pipeline/config/parameters.ts';
import { startMoto } from './moto.ts';

export const region = 'eu-west-1';
export const keys = { accessKeyId: 'local', secretAccessKey: 'local' };

export type Cloud = { readonly endpoint: string; readonly clients: Clients; stop(): Promise<void> };

type CloudOptions = {
  /** One that runs already; without it the embedded cloud is started, on `port`. */
  readonly endpoint: string | undefined;
  readonly port: number;
  /** An answer that does not come is waited for this long, at each of three attempts. LocalStack takes 3 s for its first. */
  readonly patienceMs?: number;
};

/** A cloud with the clients that play the operator. Throws what `startMoto` does. */
export async function openCloud({ endpoint: given, port, patienceMs = 15_000 }: CloudOptions, signal: AbortSignal): Promise<Cloud> {
  const cloud = given === undefined ? startMoto({ port, signal }) : { endpoint: given, stop: async () => {} };
  // Side by side: both take a while, one in each process.
  const [{ endpoint, stop }, { S3Client }, { SSMClient }] = await Promise.all([cloud, import('@aws-sdk/client-s3'), import('@aws-sdk/client-ssm')]);
  // No connection is used twice: LocalStack in host mode says 412 before it has read the object, and then nothing more on that connection (measured).
  const requestHandler = { connectionTimeout: patienceMs, socketTimeout: patienceMs, httpAgent: { keepAlive: false } };
  const options = { endpoint, region, credentials: keys, requestHandler, logger: silent };
  return { endpoint, clients: { s3: new S3Client({ ...options, forcePathStyle: true }), ssm: new SSMClient(options) }, stop };
}

/**
 * What Terraform does for an environment: a versioned bucket, and the document that tells the CLI of it. A bucket that is there is used, an
 * earlier document stays as an older version. Throws LOCAL_CLOUD_SILENT, AWS_*.
 */
export async function makeInfrastructure({ endpoint, clients: { s3, ssm } }: Cloud, place: Place, loadBalancerUrl: string): Promise<Infrastructure> {
  const { PutParameterCommand } = await import('@aws-sdk/client-ssm');
  const infrastructure = describe(place, loadBalancerUrl);
  const Bucket = infrastructure.artifactBucket;
  const Name = infrastructurePath(place);
  const write = new PutParameterCommand({ Name, Value: JSON.stringify(infrastructure), Type: 'String', Overwrite: true });
  try {
    await Promise.all([makeBucket(s3, Bucket), ask('PutParameter', Name, () => ssm.send(write))]);
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code !== 'AWS_UNAVAILABLE') throw thrown;
    throw new Failure('LOCAL_CLOUD_SILENT', { endpoint, detail: thrown.message }, { cause: thrown });
  }
  return infrastructure;
}

/** A versioned bucket; one that is there is used. Throws AWS_*. */
export async function makeBucket(s3: Clients['s3'], Bucket: string): Promise<void> {
  const { CreateBucketCommand, PutBucketVersioningCommand } = await import('@aws-sdk/client-s3');
  await ask('CreateBucket', Bucket, async () => {
    await s3.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: region } })).catch((thrown) => {
      if (thrown.name !== 'BucketAlreadyOwnedByYou') throw thrown;
    });
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  });
}

/** What Terraform publishes on AWS. Times of an ordinary load balancer; nothing here waits for them. */
function describe({ app, env }: Place, loadBalancerUrl: string): Infrastructure {
  return {
    schemaVersion: 1,
    autoScalingGroup: `${app}-${env}`,
    launchTemplateId: `lt-${randomBytes(8).toString('hex')}0`,
    targetGroupArn: `arn:aws:elasticloadbalancing:${region}:123456789012:targetgroup/${app}-${env}/0123456789abcdef`,
    loadBalancerUrl,
    artifactBucket: `pinion-${app}`,
    alarms: [],
    hooks: { launch: 'launch', terminate: 'terminate' },
    times: {
      bootBudgetMs: 300_000,
      healthIntervalMs: 5_000,
      idleTimeoutMs: 60_000,
      deregistrationDelayMs: 30_000,
      warmUpMs: 30_000,
      graceMs: 30_000,
      launchHeartbeatMs: 420_000,
      terminateHeartbeatMs: 90_000,
      stopTimeoutMs: 60_000,
    },
  };
}

type ShellOf = { readonly endpoint: string; readonly env: string; readonly appDir: string; readonly runtimeFolder: string };

/** What a second terminal sources to use the CLI, and to ask the agent, here. Of the caller's own AWS settings, what would win over the keys is unset. */
export const shellEnvironment = ({ endpoint, env, appDir, runtimeFolder }: ShellOf): string =>
  [
    'unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL_SSM',
    ...Object.entries({
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      PINION_ENV: env,
      PINION_APP_DIR: appDir,
      RUNTIME_DIRECTORY: runtimeFolder,
    }).map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`),
    '',
  ].join('\n');
