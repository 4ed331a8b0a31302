import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Test } from 'tap';

type Ports = { readonly traffic: number; readonly health: number };
type HealthAnswer = number | 'garbage' | 'silence';

/** An instance as the balancer sees it: two real HTTP servers on an address of its own. */
export type Backend = {
  readonly id: string;
  readonly address: string;
  /** Paths of the traffic it got. */
  readonly paths: string[];
  /** Requests for `/held`, which wait until `release`. */
  readonly held: ServerResponse[];
  /** Requests for its health, and connections for traffic that are open. */
  readonly seen: { checks: IncomingMessage[]; connections: number; everConnected: number };
  answerHealth(answer: HealthAnswer): void;
  release(): void;
  /** Its app has ended: the port for traffic refuses, health answers. */
  endTraffic(): Promise<void>;
  /** It is gone, as a terminated instance is. */
  end(): Promise<void>;
};

/**
 * `/held` waits for `release`, `/silent` never answers, `/reset` is reset, `/status/N` answers N, everything else 200 with the id. Health answers
 * 200 until it is told otherwise.
 */
export async function startBackend(t: Test, ports: Ports, health: HealthAnswer = 200): Promise<Backend> {
  const address = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
  const id = `i-${address.replaceAll('.', '-')}`;
  const paths: string[] = [];
  const held: ServerResponse[] = [];
  const seen: Backend['seen'] = { checks: [], connections: 0, everConnected: 0 };
  let answer = health;

  const traffic = createServer((request, response) => {
    const path = request.url ?? '';
    paths.push(path);
    if (path === '/held') held.push(response);
    else if (path === '/reset') request.socket.resetAndDestroy();
    else if (path === '/headers') response.end(JSON.stringify(request.headers));
    else if (path.startsWith('/status/')) response.writeHead(Number(path.slice('/status/'.length))).end();
    else if (path !== '/silent') response.end(id);
  });
  traffic.keepAliveTimeout = 60_000;
  traffic.on('connection', (socket) => {
    seen.connections++;
    seen.everConnected++;
    socket.on('close', () => seen.connections--);
  });
  const checked = createServer((request, response) => {
    seen.checks.push(request);
    if (answer === 'garbage') request.socket.end('garbage\r\n\r\n');
    else if (answer !== 'silence') response.writeHead(answer).end();
  });
  const end = async () => {
    await Promise.all([close(traffic), close(checked)]);
  };
  t.teardown(end);
  for (const [server, port] of [[traffic, ports.traffic] as const, [checked, ports.health] as const]) {
    server.listen(port, address);
    await once(server, 'listening');
  }
  return {
    id,
    address,
    paths,
    held,
    seen,
    answerHealth(next) {
      answer = next;
    },
    release() {
      for (const response of held.splice(0)) response.end(id);
    },
    endTraffic: () => close(traffic),
    end,
  };
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
