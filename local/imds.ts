import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

type Credentials = { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken: string; readonly expiration: Date };

type Instance = {
  readonly instance: string;
  /** Its `local-ipv4`. */
  readonly address: string;
  readonly region: string;
  readonly roleName: string;
  /** Asked anew for every request, as the role's credentials change. */
  readonly credentials: () => Credentials;
  /** Undefined answers 404, as an instance that was launched without. */
  readonly userData?: Buffer | undefined;
  readonly host?: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
};

type Value = string | Buffer | (() => string);
type Answer = { readonly status: number; readonly body?: string | Buffer; readonly headers?: Record<string, string> };

export type LocalImds = {
  readonly endpoint: string;
  readonly requests: readonly { readonly method: string; readonly path: string; readonly status: number }[];
  setUserData(bytes: Buffer | undefined): void;
  /** Every token given so far answers 401. */
  expireTokens(): void;
  /** A value at a path such as `/latest/meta-data/spot/instance-action`; undefined makes it 404 again. */
  set(path: string, value: string | undefined): void;
  stop(): Promise<void>;
};

const tokenPath = '/latest/api/token';
const ttlHeader = 'x-aws-ec2-metadata-token-ttl-seconds';
const longestTtlSeconds = 21_600;

/** The metadata service of one instance, version 2 only, as imds.md specifies it. */
export async function startImds(options: Instance): Promise<LocalImds> {
  const values = valuesOf(options);
  const expiresAtMs = new Map<string, number>();
  const requests: { method: string; path: string; status: number }[] = [];

  const giveToken = (request: IncomingMessage): Answer => {
    if (request.headers['x-forwarded-for'] !== undefined) return { status: 403 };
    const ttl = request.headers[ttlHeader];
    const isWhole = typeof ttl === 'string' && /^\d{1,5}$/.test(ttl);
    if (!isWhole || Number(ttl) < 1 || Number(ttl) > longestTtlSeconds) return { status: 400 };
    const token = randomBytes(42).toString('base64url');
    expiresAtMs.set(token, performance.now() + Number(ttl) * 1000);
    return { status: 200, body: token, headers: { [ttlHeader]: ttl } };
  };

  const read = (request: IncomingMessage, path: string): Answer => {
    const token = String(request.headers['x-aws-ec2-metadata-token']);
    const leftMs = (expiresAtMs.get(token) ?? 0) - performance.now();
    if (leftMs <= 0) return { status: 401 };
    const body = lookUp(values, path);
    return body === undefined ? { status: 404 } : { status: 200, body, headers: { [ttlHeader]: String(Math.ceil(leftMs / 1000)) } };
  };

  const answer = (request: IncomingMessage, path: string): Answer => {
    if (request.method === 'PUT' && path === tokenPath) return giveToken(request);
    return request.method === 'GET' ? read(request, path) : { status: 405 };
  };

  const server = createServer((request, response) => {
    const path = asLatest(new URL(request.url ?? '/', 'http://imds').pathname);
    const { status, body = '', headers = {} } = answer(request, path);
    requests.push({ method: request.method ?? '', path, status });
    request.resume();
    response.writeHead(status, { server: 'EC2ws', 'content-type': 'text/plain', ...headers }).end(body);
  });
  const { host = '127.0.0.1', port = 0 } = options;
  server.listen(port, host);
  await once(server, 'listening');
  const set = (path: string, value: Value | undefined) => void (value === undefined ? values.delete(path) : values.set(path, value));
  return {
    endpoint: `http://${host}:${(server.address() as AddressInfo).port}`,
    requests,
    setUserData: (bytes) => set('/latest/user-data', bytes),
    expireTokens: () => expiresAtMs.clear(),
    set,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function valuesOf({ instance, address, region, roleName, credentials, userData }: Instance): Map<string, Value> {
  const availabilityZone = `${region}a`;
  const roleArn = `arn:aws:iam::123456789012:instance-profile/${roleName}`;
  const document = { version: '2017-09-30', accountId: '123456789012', instanceId: instance, privateIp: address, region, availabilityZone };
  const seconds = (date: Date) => date.toISOString().replace(/\.\d+Z$/, 'Z');
  const values = new Map<string, Value>(
    Object.entries({
      'meta-data/instance-id': instance,
      'meta-data/local-ipv4': address,
      'meta-data/placement/region': region,
      'meta-data/placement/availability-zone': availabilityZone,
      'meta-data/autoscaling/target-lifecycle-state': 'InService',
      'meta-data/iam/info': () =>
        JSON.stringify({ Code: 'Success', LastUpdated: seconds(new Date()), InstanceProfileArn: roleArn, InstanceProfileId: 'AIPALOCAL' }),
      [`meta-data/iam/security-credentials/${roleName}`]: () => {
        const { accessKeyId, secretAccessKey, sessionToken, expiration } = credentials();
        const keys = { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token: sessionToken, Expiration: seconds(expiration) };
        return JSON.stringify({ Code: 'Success', LastUpdated: seconds(new Date()), Type: 'AWS-HMAC', ...keys });
      },
      'dynamic/instance-identity/document': JSON.stringify(document, null, 2),
    }).map(([path, value]) => [`/latest/${path}`, value]),
  );
  if (userData !== undefined) values.set('/latest/user-data', userData);
  return values;
}

/** Dated versions answer what `latest` does. */
const asLatest = (path: string): string => path.replace(/^\/(\d{4}-\d{2}-\d{2}|1\.0)(?=\/)/, '/latest');

function lookUp(values: ReadonlyMap<string, Value>, path: string): string | Buffer | undefined {
  const value = values.get(path);
  if (value !== undefined) return typeof value === 'function' ? value() : value;
  const folder = path.endsWith('/') ? path : `${path}/`;
  const children = [...values.keys()].filter((key) => key.startsWith(folder)).map((key) => key.slice(folder.length).replace(/\/.*/, '/'));
  return children.length === 0 ? undefined : [...new Set(children)].sort().join('\n');
}
