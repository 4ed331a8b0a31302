import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { asFailure, Failure } from '../../contract/causes.ts';
import { portHolder } from '../port.ts';
import { plainServer } from '../readiness/server.ts';
import { type AppRole, createAppRole } from './app-role.ts';
import { credentialsPath } from './app-variables.ts';
import { keepToken } from './token.ts';

export type CredentialsServer = { readonly port: number; close(): Promise<void> };

type Options = Parameters<typeof createAppRole>[0] & {
  readonly port: number;
  /** The file with the token, which only agent and app can read; made where it is not there. */
  readonly tokenFile: string;
};

/**
 * Gives the app the credentials of its role, and nobody else: on loopback, to who sends the token. They are fetched at once, while gunicorn starts, since an
 * app makes its AWS clients when it is imported; and so a role that cannot be assumed is told at the deploy that brought it.
 * Throws CREDENTIALS_PORT_IN_USE, SETTING_INVALID for a port that cannot be listened on, STATE_UNWRITABLE for the token.
 */
export async function serveCredentials({ port, tokenFile, ...options }: Options): Promise<CredentialsServer> {
  const role = createAppRole(options);
  const server = vendingServer(keepToken(tokenFile), role);
  const address = `127.0.0.1:${port}`;
  try {
    await server.listen({ host: '127.0.0.1', port });
  } catch (thrown) {
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') throw new Failure('CREDENTIALS_PORT_IN_USE', { address, holder: portHolder(port) }, { cause: thrown });
    throw new Failure('SETTING_INVALID', { setting: 'PINION_CREDENTIALS_PORT', problem: `${address} ${code}` }, { cause: thrown });
  }
  // Its failure is told by `onFailure`.
  role.credentials().catch(() => {});
  return {
    port,
    async close() {
      role.close();
      await server.close();
    },
  };
}

/** Answers in the forms that the SDKs read: botocore shows the whole body, those for JavaScript and Go take `Code` and `Message`. */
export function vendingServer(token: string, role: Pick<AppRole, 'credentials'>): FastifyInstance {
  const server = plainServer();
  server.addHook('onRequest', async ({ socket, headers, routeOptions }, reply) => {
    // A connection is not kept: an SDK asks once in three quarters of an hour, and the next agent knows nothing of it.
    reply.header('connection', 'close').header('cache-control', 'no-store');
    if (routeOptions.url === undefined) return;
    // Packets that the kernel was told to let through to loopback (route_localnet, CVE-2020-8558).
    if (!/^127\./.test(socket.remoteAddress ?? '')) return reply.code(403).send({ Code: 'Forbidden', Message: 'only processes of this host are answered' });
    if (headers.authorization === undefined || !isEqual(headers.authorization, token)) {
      return reply.code(401).send({ Code: 'Unauthorized', Message: 'the Authorization header is not the token in AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE' });
    }
  });
  server.get(credentialsPath, async (_, reply) => {
    try {
      return await role.credentials();
    } catch (thrown) {
      const { cause, sentence, next } = asFailure(thrown).report;
      return reply.code(503).send({ Code: cause, Message: `${sentence}. Next: ${next}` });
    }
  });
  return server;
}

function isEqual(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}
