// A static import of node:http in a module loads undici with it: 36 ms and its memory (Node 26).
const { request } = process.getBuiltinModule('node:http');

const headers = { 'user-agent': 'ELB-HealthChecker/2.0', connection: 'close', 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' };

export type ProbeResult = { readonly isGood: boolean; readonly hasAnswered: boolean; readonly detail: string; readonly latencyMs: number };

/**
 * One GET of the app's health path through the traffic listener, on a connection of its own: Host is the target's address and port, as in a balancer's health check
 * (AWS: target group health checks); the forwarded headers are those of a request that came by TLS, which no app redirects.
 * Good is a completed response with status 200 within `timeoutMs`. Never throws.
 */
export function probe(target: { host: string; port: number; path: string }, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const end = (answer: 'good' | 'bad' | 'none', detail: string) =>
      resolve({ isGood: answer === 'good', hasAnswered: answer !== 'none', detail, latencyMs: performance.now() - startedAt });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const call = request({ ...target, agent: false, signal: limit, headers: { ...headers, 'x-forwarded-for': target.host } }, (response) => {
      response.on('end', () => end(response.statusCode === 200 ? 'good' : 'bad', `status ${response.statusCode}`));
      response.on('error', (error) => end('none', failureText(error, limit, timeoutMs)));
      response.resume();
    });
    call.on('error', (error) => end('none', failureText(error, limit, timeoutMs)));
    // An answer that changes the protocol is neither a response nor an error.
    call.on('upgrade', ({ statusCode }, socket) => {
      socket.destroy();
      end('bad', `status ${statusCode}`);
    });
    call.end();
  });
}

const failureText = (error: NodeJS.ErrnoException, limit: AbortSignal, timeoutMs: number): string =>
  limit.aborted ? `no answer in ${timeoutMs} ms` : (error.code ?? error.message);
