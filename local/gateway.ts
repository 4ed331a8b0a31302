import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { answerCall, type Dialect, type Service } from './wire/query.ts';

/** A service of ours behind the gateway. */
export type Owned = {
  readonly service: Service;
  readonly dialect: Dialect;
  /** Only these actions of it; the others go on to the rest. Without it, all. */
  readonly actions?: ReadonlySet<string>;
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
export async function startGateway({ owned, rest, host = '127.0.0.1', port = 0 }: GatewayOptions): Promise<Gateway> {
  const upstream = new URL(rest);
  const calls: { service: string; action: string; atMs: number }[] = [];

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, name = ''] = /Credential=[^/]*\/\d{8}\/[^/]*\/([^/]*)\/aws4_request/.exec(request.headers.authorization ?? '') ?? [];
    const mine = owned[name];
    if (mine === undefined) return passOn(request, response);
    const body = await text(request);
    const action = new URLSearchParams(body).get('Action') ?? '';
    if (mine.actions?.has(action) === false) return passOn(request, response, body);
    calls.push({ service: name, action, atMs: performance.now() });
    const { status, headers, body: answered } = await answerCall(mine.service, body, mine.dialect);
    response.writeHead(status, headers).end(answered);
  };

  const passOn = (request: IncomingMessage, response: ServerResponse, body?: string): Promise<void> =>
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

type GatewayOptions = {
  /** By the name in the credential scope: `autoscaling`, `elasticloadbalancing`, `ec2`. */
  readonly owned: Readonly<Record<string, Owned>>;
  /** Endpoint of all other services. */
  readonly rest: string;
  readonly host?: string;
  readonly port?: number;
};
