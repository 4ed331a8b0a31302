import { randomBytes } from 'node:crypto';
import type { Infrastructure } from '../contract/infrastructure.ts';
import { infrastructurePath } from '../contract/names.ts';
import type { Clients } from '../pipeline/aws.ts';
import type { Place } from '../pipeline/config/parameters.ts';
import { startMoto } from './moto.ts';

export const region = 'eu-west-1';
const keys = { accessKeyId: 'local', secretAccessKey: 'local' };

export type Cloud = { readonly endpoint: string; readonly clients: Clients; stop(): Promise<void> };

/** The embedded cloud with the clients that play the operator. Throws what `startMoto` does. */
export async function startCloud(port: number, signal: AbortSignal): Promise<Cloud> {
  // Side by side: both take a while, one in each process.
  const [moto, { S3Client }, { SSMClient }] = await Promise.all([startMoto({ port, signal }), import('@aws-sdk/client-s3'), import('@aws-sdk/client-ssm')]);
  const options = { endpoint: moto.endpoint, region, credentials: keys };
  const clients = { s3: new S3Client({ ...options, forcePathStyle: true }), ssm: new SSMClient(options) };
  return { endpoint: moto.endpoint, clients, stop: moto.stop };
}

/** What Terraform does for an environment: a versioned bucket, and the document that tells the CLI of it. */
export async function makeInfrastructure({ s3, ssm }: Clients, place: Place, loadBalancerUrl: string): Promise<Infrastructure> {
  const [{ CreateBucketCommand, PutBucketVersioningCommand }, { PutParameterCommand }] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('@aws-sdk/client-ssm'),
  ]);
  const infrastructure = describe(place, loadBalancerUrl);
  const Bucket = infrastructure.artifactBucket;
  await Promise.all([
    s3
      .send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: region } }))
      .then(() => s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))),
    ssm.send(new PutParameterCommand({ Name: infrastructurePath(place), Value: JSON.stringify(infrastructure), Type: 'String' })),
  ]);
  return infrastructure;
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

/** What a second terminal sources to use the CLI here. Of the caller's own AWS settings, what would win over the keys is unset. */
export const shellEnvironment = (endpoint: string, env: string, appDir: string): string =>
  [
    'unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL_SSM',
    ...Object.entries({
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      PINION_ENV: env,
      PINION_APP_DIR: appDir,
    }).map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`),
    '',
  ].join('\n');
