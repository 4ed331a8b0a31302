import { once } from 'node:events';
import { rmSync } from 'node:fs';
import Fastify, { type FastifyInstance } from 'fastify';
import { Failure } from '../../contract/causes.ts';
import type { Readiness, Status } from '../../contract/status.ts';
import { portHolder } from '../port.ts';

type Bind = {
  readonly host: string;
  readonly port: number;
  /** A descriptor that listens already. */
  readonly socket?: number | undefined;
  readonly statusSocket: string;
};
export type HealthServer = { readonly port: number; close(): Promise<void> };

type Sources = { readonly readiness: () => Readiness; readonly status: () => Status };

/**
 * Serves `/readyz` and `/livez` on the health port and the full status on a unix socket, all from memory.
 * Throws HEALTH_PORT_IN_USE, SETTING_INVALID for an address or a socket path that cannot be listened on.
 */
export async function serveHealth(bind: Bind, { readiness, status }: Sources): Promise<HealthServer> {
  const health = plainServer();
  health.get('/readyz', async (_, reply) => {
    const body = readiness();
    return reply.code(body.state === 'ready' && body.cause === undefined ? 200 : 503).send(body);
  });
  health.get('/livez', async () => ({ alive: true }));
  const local = plainServer();
  local.get('/status', async () => status());
  try {
    await listen(health, bind);
  } catch (thrown) {
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException;
    const address = `${bind.host}:${bind.port}`;
    if (code !== 'EADDRINUSE') throw new Failure('SETTING_INVALID', { setting: 'PINION_BIND', problem: `${address} ${code}` }, { cause: thrown });
    throw new Failure('HEALTH_PORT_IN_USE', { address, holder: portHolder(bind.port) }, { cause: thrown });
  }
  try {
    // A socket file outlives a killed agent.
    rmSync(bind.statusSocket, { force: true });
    await local.listen({ path: bind.statusSocket });
  } catch (thrown) {
    await health.close();
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException;
    throw new Failure('SETTING_INVALID', { setting: 'RUNTIME_DIRECTORY', problem: `${bind.statusSocket} ${code}` }, { cause: thrown });
  }
  const address = health.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : bind.port,
    close: async () => {
      // Fastify ends the connections only of what it listened on itself.
      health.server.closeAllConnections();
      await Promise.all([health.close(), local.close()]);
    },
  };
}

async function listen(health: FastifyInstance, { host, port, socket }: Bind): Promise<void> {
  if (socket === undefined) return void (await health.listen({ host, port }));
  await health.ready();
  const listening = once(health.server, 'listening');
  health.server.listen({ fd: socket });
  await listening;
}

// A drained agent waits for no client: not for an idle connection (Fastify keeps them 72 s), nor for half a request.
export const plainServer = (): FastifyInstance => Fastify({ keepAliveTimeout: 1000, forceCloseConnections: true, logger: false });
