import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { answerCall, type Dialect, type Service } from './wire/query.ts';

/** A service of ours behind the gateway. */
export type Owned = {
  readonly service: Service;
  readonly dialect: Dialect;
  /** Only these actions of it; the others go on to the rest. Without it, all. */
  readonly actions?: ReadonlySet<string>;
};

/** What a signed request asks, as far as it can be told without its service's own rules. */
export type Asked = {
  /** By the name in the credential scope. */
  readonly service: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Of the query protocol and of JSON; a REST service has its method and path instead. */
  readonly action: string | undefined;
  /** A form or a document; '' of S3, whose bodies may be large. */
  readonly body: string;
};

export type Gateway = {
  readonly endpoint: string;
  /** Every call to a service of ours, by action, in order. */
  readonly calls: readonly { readonly service: string; readonly action: string; readonly atMs: number }[];
  stop(): Promise<void>;
};

/**
 * One endpoint for all of AWS: a request goes to the service of ours that its signature names (credential scope: IAM User Guide, "Create a signed
 * AWS API request"), and everything else to `rest`, byte by byte.
 */
export async function startGateway({ owned, rest, host = '127.0.0.1', port = 0, heard }: GatewayOptions): Promise<Gateway> {
  const upstream = new URL(rest);
  const calls: { service: string; action: string; atMs: number }[] = [];

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, name = ''] = /Credential=[^/]*\/\d{8}\/[^/]*\/([^/]*)\/aws4_request/.exec(request.headers.authorization ?? '') ?? [];
    const mine = owned[name];
    const isRead = mine !== undefined || (heard !== undefined && name !== 's3');
    const body = isRead ? await buffer(request) : undefined;
    heard?.(askedBy(request, name, body?.toString() ?? ''));
    if (mine === undefined || body === undefined) return passOn(request, response, body);
    const form = body.toString();
    const action = new URLSearchParams(form).get('Action') ?? '';
    if (mine.actions?.has(action) === false) return passOn(request, response, body);
    calls.push({ service: name, action, atMs: performance.now() });
    const { status, headers, body: answered } = await answerCall(mine.service, form, mine.dialect);
    response.writeHead(status, headers).end(answered);
  };

  const passOn = (request: IncomingMessage, response: ServerResponse, body?: Buffer): Promise<void> =>
    new Promise((resolve) => {
      const { method, url: path, headers } = request;
      const onward = forward({ host: upstream.hostname, port: upstream.port, method, path, headers }, (answered) => {
        response.writeHead(answered.statusCode ?? 502, answered.headers);
        answered.pipe(response).on('close', resolve);
        answered.on('error', () => response.destroy());
      });
      onward.on('error', () => {
        response.destroy();
        resolve();
      });
      if (body === undefined) request.pipe(onward).on('error', () => {});
      else onward.end(body);
    });

  const server = createServer((request, response) => {
    answer(request, response).catch((thrown) => {
      // An error of ours, and not of the service: the SDK asks again and then says so.
      process.stderr.write(`local gateway: ${thrown instanceof Error ? thrown.stack : thrown}\n`);
      response.writeHead(500).end();
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    endpoint: `http://${host}:${(server.address() as AddressInfo).port}`,
    calls,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function askedBy({ method = '', url: path = '', headers }: IncomingMessage, service: string, body: string): Asked {
  const target = headers['x-amz-target'];
  const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
  // Smithy's RPC v2: /service/GraniteServiceVersion20100801/operation/PutDashboard
  const [, operation] = /^\/service\/[^/]+\/operation\/(\w+)$/.exec(path) ?? [];
  const named = isForm ? (new URLSearchParams(body).get('Action') ?? undefined) : operation;
  const action = typeof target === 'string' ? target.slice(target.lastIndexOf('.') + 1) : named;
  return { service, method, path, action, body };
}

type GatewayOptions = {
  /** By the name in the credential scope: `autoscaling`, `elasticloadbalancing`, `ec2`. */
  readonly owned: Readonly<Record<string, Owned>>;
  /** Endpoint of all other services. */
  readonly rest: string;
  readonly host?: string;
  readonly port?: number;
  /** Hears of every request before it is answered. */
  readonly heard?: (asked: Asked) => void;
};
