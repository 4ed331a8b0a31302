/** AWS's query protocol as the SDK speaks it to Auto Scaling, ELBv2 and EC2 (local-cloud.md): parameters as a form, answers as XML. */

export type Params = { readonly [name: string]: Param };
type Param = string | readonly Param[] | Params;
export type Call = { readonly action: string; readonly params: Params };
/** What a service answers: the members of its result. `undefined` is absent, an empty list is there and empty. */
export type Result = { readonly [name: string]: unknown };
/** A whole service by one function. Throws ServiceError. */
export type Service = (call: Call) => Result | Promise<Result>;

/** An error as the service's own, by the code that is on the wire: without `Fault` or `Exception`. */
export class ServiceError extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = 'ServiceError';
    this.code = code;
    this.status = status;
  }
}

/** `A.member.1.B=x` (Auto Scaling, ELBv2) and `A.1.B=x` (EC2) are both `{ A: [{ B: 'x' }] }`; a list that is sent empty (`A=`) is `''`. */
export function parseCall(body: string): Call {
  const tree: Tree = new Map();
  for (const [name, value] of new URLSearchParams(body)) plant(tree, name.split('.'), value);
  const { Action: action = '', Version: _, ...params } = Object.fromEntries([...tree].map(([name, branch]) => [name, grown(branch)]));
  return { action: String(action), params };
}

type Tree = Map<string, Tree | string>;

function plant(tree: Tree, [name = '', ...rest]: readonly string[], value: string): void {
  if (rest.length === 0) {
    tree.set(name, value);
    return;
  }
  const branch = tree.get(name);
  const inner: Tree = branch instanceof Map ? branch : new Map();
  tree.set(name, inner);
  plant(inner, rest[0] === 'member' && rest.length > 1 ? rest.slice(1) : rest, value);
}

function grown(branch: Tree | string): Param {
  if (typeof branch === 'string') return branch;
  const entries = [...branch].map(([name, inner]) => [name, grown(inner)] as const);
  if (!entries.every(([name]) => /^\d+$/.test(name))) return Object.fromEntries(entries);
  return entries.toSorted(([a], [b]) => Number(a) - Number(b)).map(([, value]) => value);
}

/** A list of strings among `params`; none where it is absent. */
export const listOf = (params: Params, name: string): readonly string[] => {
  const value = params[name];
  return Array.isArray(value) ? value.map(String) : [];
};
/** One string among `params`. */
export const textOf = (params: Params, name: string): string | undefined => {
  const value = params[name];
  return typeof value === 'string' ? value : undefined;
};
/** The same where the service cannot do without it. Throws ValidationError. */
export function requiredText(params: Params, name: string): string {
  const value = textOf(params, name);
  if (value === undefined || value === '') throw new ServiceError('ValidationError', `${name} is required`);
  return value;
}

/** The dialect of a service: Auto Scaling's and ELBv2's `query`, or EC2's. */
export type Dialect = 'query' | 'ec2';
export type Answer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string };

let requests = 0;

/** A service's answer to the body of one request, errors included; what is no ServiceError is thrown on. */
export async function answerCall(service: Service, body: string, dialect: Dialect): Promise<Answer> {
  const call = parseCall(body);
  const requestId = `local-${++requests}`;
  const answer = (status: number, text: string): Answer => ({
    status,
    headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestId },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n${text}\n`,
  });
  try {
    const result = await service(call);
    const inner = members(result, dialect);
    if (dialect === 'ec2') return answer(200, `<${call.action}Response><requestId>${requestId}</requestId>${inner}</${call.action}Response>`);
    return answer(200, `<${call.action}Response><${call.action}Result>${inner}</${call.action}Result></${call.action}Response>`);
  } catch (thrown) {
    if (!(thrown instanceof ServiceError)) throw thrown;
    const error = `<Error><Type>${thrown.status < 500 ? 'Sender' : 'Receiver'}</Type>${members({ Code: thrown.code, Message: thrown.message }, dialect)}</Error>`;
    if (dialect === 'ec2') return answer(thrown.status, `<Response><Errors>${error}</Errors><RequestID>${requestId}</RequestID></Response>`);
    return answer(thrown.status, `<ErrorResponse>${error}<RequestId>${requestId}</RequestId></ErrorResponse>`);
  }
}

function members(value: unknown, dialect: Dialect): string {
  if (value === undefined) return '';
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) {
    const item = dialect === 'ec2' ? 'item' : 'member';
    return value.map((each) => `<${item}>${members(each, dialect)}</${item}>`).join('');
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([name, inner]) => `<${name}>${members(inner, dialect)}</${name}>`)
      .join('');
  }
  return String(value).replace(/[&<>"]/g, (character) => entities[character] ?? character);
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
