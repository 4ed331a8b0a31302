import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { cutTo, drip, endless, flipAt } from './broken-body.ts';

/** What the proxy saw of one request; `answered` is the status that went back, undefined while none did. */
export type SeenRequest = {
  readonly atMs: number;
  readonly method: string;
  /** Path and query as on the wire. */
  readonly path: string;
  /** The `x-amz-target` of json services, such as `AmazonSSM.GetParameters`. */
  readonly target: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly sizeBytes: number;
  answered: number | undefined;
};

/** Every given field must fit. `nth` counts, from 1, the requests that fit the others. */
export type Match = { readonly method?: string; readonly target?: string; readonly path?: RegExp; readonly nth?: number | readonly number[] };

/** Specification: faulting-proxy.md. */
export type Fault =
  | { readonly do: 'answer'; readonly status: number; readonly body?: string | Buffer; readonly headers?: Record<string, string> }
  | { readonly do: 'raw'; readonly bytes: string | Buffer }
  | { readonly do: 'reset' }
  | { readonly do: 'silence' }
  | { readonly do: 'resetAfter'; readonly bytes: number }
  | { readonly do: 'stallAfter'; readonly bytes: number }
  | { readonly do: 'drip'; readonly bytes: number; readonly everyMs: number }
  | { readonly do: 'flip'; readonly offset: number }
  | { readonly do: 'shorten'; readonly bytes: number }
  | { readonly do: 'endless'; readonly contentLength?: number }
  | { readonly do: 'date'; readonly shiftMs: number }
  | { readonly do: 'hold' };

/** A rule in force: how often it acted, and the ways to end it. */
export type Rule = { readonly used: number; release(): void; remove(): void };

export type FaultingProxy = {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** The rule added last is asked first. A function decides request by request; undefined lets it pass. */
  fault(match: Match, fault: Fault | ((seen: SeenRequest) => Fault | undefined)): Rule;
  /** The requests so far that fit. */
  seen(match: Match): readonly SeenRequest[];
  /** The next request that fits, when it has arrived. */
  next(match: Match): Promise<SeenRequest>;
};

export const throttled: Fault = {
  do: 'answer',
  status: 400,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: '{"__type":"ThrottlingException","message":"Rate exceeded"}',
};
/** An error of a json 1.1 service (SSM, KMS) by name. */
export const jsonError = (name: string, message = '', status = 400): Fault => ({
  do: 'answer',
  status,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: JSON.stringify({ __type: name, message }),
});
/** An error of S3 by code. */
export const xmlError = (code: string, status: number, message = ''): Fault => ({
  do: 'answer',
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>fault</RequestId></Error>`,
});

const perConnection = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'upgrade', 'expect', 'trailer']);

const fits = (match: Match, seen: SeenRequest): boolean =>
  (match.method === undefined || match.method === seen.method) &&
  (match.target === undefined || match.target === seen.target) &&
  (match.path === undefined || match.path.test(seen.path));

type Armed = { match: Match; decide: (seen: SeenRequest) => Fault | undefined; fitted: number; used: number; held: (() => void)[]; open: boolean };

/** A proxy on a free port of 127.0.0.1 before `upstreamUrl`, stopped at the end of test `t`. Specification: faulting-proxy.md. */
export async function startFaultingProxy(t: { teardown(fn: () => unknown): unknown }, upstreamUrl: string): Promise<FaultingProxy> {
  const upstream = new URL(upstreamUrl);
  const requests: SeenRequest[] = [];
  const waiting: { match: Match; resolve: (seen: SeenRequest) => void }[] = [];
  let rules: Armed[] = [];

  const decide = (seen: SeenRequest): { rule: Armed; fault: Fault } | undefined => {
    let decision: { rule: Armed; fault: Fault } | undefined;
    for (const rule of rules) {
      if (!fits(rule.match, seen)) continue;
      rule.fitted++;
      const { nth } = rule.match;
      if (decision !== undefined || (nth !== undefined && ![nth].flat().includes(rule.fitted))) continue;
      const fault = rule.decide(seen);
      if (fault === undefined) continue;
      rule.used++;
      decision = { rule, fault };
    }
    return decision;
  };

  const server = http.createServer({ keepAlive: true, requestTimeout: 0, headersTimeout: 0 }, async (request, response) => {
    const chunks: Buffer[] = [];
    response.on('error', () => {});
    request.on('error', () => {});
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks);
    const { method = '', url = '', headers } = request;
    const target = [headers['x-amz-target']].flat()[0];
    const seen: SeenRequest = { atMs: performance.now(), method, path: url, target, headers, body, sizeBytes: body.length, answered: undefined };
    requests.push(seen);
    const decided = decide(seen);
    for (const one of waiting.filter((w) => fits(w.match, seen))) {
      waiting.splice(waiting.indexOf(one), 1);
      one.resolve(seen);
    }
    if (decided?.fault.do === 'hold') {
      const { rule } = decided;
      if (!rule.open) await new Promise<void>((resolve) => rule.held.push(resolve));
    }
    if (!beforeUpstream(decided?.fault, seen, response)) forward(upstream, seen, request.rawHeaders, response, decided?.fault);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    for (const rule of rules) for (const free of rule.held) free();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    seen: (match) => {
      const all = requests.filter((seen) => fits(match, seen));
      return match.nth === undefined ? all : all.filter((_, index) => [match.nth].flat().includes(index + 1));
    },
    next: (match) => new Promise((resolve) => waiting.push({ match, resolve })),
    fault: (match, fault) => {
      const rule: Armed = { match, decide: typeof fault === 'function' ? fault : () => fault, fitted: 0, used: 0, held: [], open: false };
      rules = [rule, ...rules];
      const release = () => {
        rule.open = true;
        for (const free of rule.held.splice(0)) free();
      };
      return {
        get used() {
          return rule.used;
        },
        release,
        remove: () => {
          rules = rules.filter((other) => other !== rule);
          release();
        },
      };
    },
  };
}

/** Acts out a fault that needs no upstream; says whether it did. */
function beforeUpstream(fault: Fault | undefined, seen: SeenRequest, response: http.ServerResponse): boolean {
  switch (fault?.do) {
    case 'answer':
      seen.answered = fault.status;
      response.writeHead(fault.status, fault.headers).end(fault.body);
      return true;
    case 'raw':
      response.socket?.end(fault.bytes);
      return true;
    case 'reset':
      response.socket?.resetAndDestroy();
      return true;
    case 'silence':
      return true;
    default:
      return false;
  }
}

function forward(upstream: URL, seen: SeenRequest, rawHeaders: readonly string[], response: http.ServerResponse, fault: Fault | undefined): void {
  const outgoing = keptHeaders(rawHeaders, ['content-length']);
  if (seen.sizeBytes > 0 || seen.headers['content-length'] !== undefined) outgoing.push('content-length', String(seen.sizeBytes));
  // A connection per request: a kept one that the upstream closes meanwhile would be a fault nobody asked for.
  const onward = http.request({ host: upstream.hostname, port: upstream.port, method: seen.method, path: seen.path, headers: outgoing, agent: false });
  onward.on('error', () => response.socket?.destroy());
  response.on('close', () => onward.destroy());
  onward.on('response', (answer) => {
    seen.answered = answer.statusCode;
    answer.on('error', () => response.socket?.destroy());
    response.sendDate = false;
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answerHeaders(answer, fault));
    const socket = response.socket;
    if (seen.method === 'HEAD' || socket === null) response.end();
    else if (fault?.do === 'shorten') answer.pipe(cutTo(fault.bytes, 'end', socket)).pipe(response);
    else if (fault?.do === 'resetAfter') answer.pipe(cutTo(fault.bytes, 'reset', socket)).pipe(response);
    else if (fault?.do === 'stallAfter') answer.pipe(cutTo(fault.bytes, 'stall', socket)).pipe(response);
    else if (fault?.do === 'flip') answer.pipe(flipAt(fault.offset)).pipe(response);
    else if (fault?.do === 'drip') answer.pipe(drip(fault.bytes, fault.everyMs, response)).pipe(response);
    else if (fault?.do === 'endless') endless(answer, response);
    else answer.pipe(response);
    response.flushHeaders();
  });
  onward.end(seen.body);
}

function keptHeaders(raw: readonly string[], without: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]?.toLowerCase() ?? '';
    if (!perConnection.has(name) && !without.includes(name)) kept.push(name, raw[i + 1] ?? '');
  }
  return kept;
}

function answerHeaders(answer: http.IncomingMessage, fault: Fault | undefined): string[] {
  if (fault?.do === 'date') {
    return [...keptHeaders(answer.rawHeaders, ['date']), 'date', new Date(Date.parse(answer.headers.date ?? '') + fault.shiftMs).toUTCString()];
  }
  if (fault?.do === 'endless') {
    const kept = keptHeaders(answer.rawHeaders, ['content-length']);
    return fault.contentLength === undefined ? kept : [...kept, 'content-length', String(fault.contentLength)];
  }
  if (fault?.do === 'shorten') return [...keptHeaders(answer.rawHeaders, ['content-length']), 'content-length', String(fault.bytes)];
  return keptHeaders(answer.rawHeaders, []);
}
