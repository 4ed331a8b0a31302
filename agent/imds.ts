import { Failure } from '../contract/causes.ts';
import type { Limits } from './limits.ts';

/** The instance metadata service, version 2 only. Every read takes at most three times `imdsTimeoutMs`. */
export type Imds = {
  readonly endpoint: string;
  /** The bytes at a path such as `/latest/user-data`; undefined when there are none (404). Throws IMDS_UNAVAILABLE, or the signal's reason. */
  read(path: string, signal: AbortSignal): Promise<Buffer | undefined>;
  /** `read` as text. */
  get(path: string, signal: AbortSignal): Promise<string | undefined>;
};

// Not by import: that reads every export of node:http, and its WebSocket loads undici (36 ms against 3; fetch: 13).
const http = process.getBuiltinModule('node:http');

type Answer = { readonly status: number; readonly body: Buffer };

const tokenPath = '/latest/api/token';
/** Four times what EC2 allows as user data, its largest answer. */
const bodyLimitBytes = 65_536;

/**
 * A client of the metadata service at `endpoint` (default: AWS's link-local address). One token serves all reads until a tenth of its time is left
 * or a 401 ends it. A connection per request, no redirects, no version 1.
 */
export function createImds(endpoint: string | undefined, limits: Pick<Limits, 'imdsTimeoutMs' | 'imdsTokenSeconds'>): Imds {
  const base = endpoint ?? 'http://169.254.169.254';
  const { imdsTimeoutMs, imdsTokenSeconds } = limits;
  let current: { readonly token: Promise<string>; readonly renewAtMs: number } | undefined;

  const unavailable = (path: string, detail: string, cause?: unknown) => new Failure('IMDS_UNAVAILABLE', { endpoint: base, path, detail }, { cause });

  const ask = async (method: string, path: string, headers: Record<string, string>, stop?: AbortSignal): Promise<Answer> => {
    const timeout = AbortSignal.timeout(imdsTimeoutMs);
    try {
      return await exchange(new URL(path, base), method, headers, stop === undefined ? timeout : AbortSignal.any([stop, timeout]));
    } catch (thrown) {
      stop?.throwIfAborted();
      const { code, message } = thrown as NodeJS.ErrnoException;
      throw unavailable(path, timeout.aborted ? `no answer within ${imdsTimeoutMs} ms` : (code ?? message), thrown);
    }
  };

  // Without a caller's signal: the token belongs to every reader.
  const newToken = async (): Promise<string> => {
    const { status, body } = await ask('PUT', tokenPath, { 'x-aws-ec2-metadata-token-ttl-seconds': String(imdsTokenSeconds) });
    if (status !== 200) throw unavailable(tokenPath, `status ${status}`);
    return body.toString();
  };

  const usableToken = () => {
    if (current === undefined || performance.now() >= current.renewAtMs) {
      const mine = { token: newToken(), renewAtMs: performance.now() + imdsTokenSeconds * 900 };
      mine.token.catch(() => {
        if (current === mine) current = undefined;
      });
      current = mine;
    }
    return current;
  };

  const read = async (path: string, signal: AbortSignal): Promise<Buffer | undefined> => {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      const used = usableToken();
      const { status, body } = await ask('GET', path, { 'x-aws-ec2-metadata-token': await used.token }, signal);
      if (status === 200) return body;
      if (status === 404) return undefined;
      if (status !== 401 || attempt > 1) throw unavailable(path, `status ${status}`);
      if (current === used) current = undefined;
    }
  };

  return { endpoint: base, read, get: async (path, signal) => (await read(path, signal))?.toString() };
}

function exchange(url: URL, method: string, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      response.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes > bodyLimitBytes) request.destroy(new Error(`more than ${bodyLimitBytes} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      response.on('error', reject);
    });
    request.on('error', reject);
    if (method === 'PUT') request.setHeader('content-length', 0);
    request.end();
  });
}
