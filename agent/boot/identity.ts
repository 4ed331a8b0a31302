import { readFile } from 'node:fs/promises';
import { Failure } from '../../contract/causes.ts';
import { firstProblem } from '../../contract/document.ts';
import type { InstanceId } from '../../contract/names.ts';
import { type UserData, userDataLimitBytes, userDataSchema } from '../../contract/user-data.ts';
import type { Imds } from '../imds.ts';

/** Where an agent learns what it is: the metadata service of a host, or a file on a laptop. */
export type IdentitySource = { readonly kind: 'imds'; readonly imds: Imds } | { readonly kind: 'file'; readonly path: string };

/** What this instance is, and what it is to boot. */
export type Identity = { readonly instance: InstanceId; readonly address: string; readonly userData: UserData };

/** Reads what this instance is and which release it names. Throws IMDS_UNAVAILABLE, SETTING_INVALID and the codes of `parseUserData`. */
export async function readIdentity(source: IdentitySource, signal: AbortSignal): Promise<Identity> {
  if (source.kind === 'file') {
    const bytes = await readFile(source.path, { signal }).catch((thrown: NodeJS.ErrnoException) => {
      signal.throwIfAborted();
      throw new Failure('SETTING_INVALID', { setting: '--user-data', problem: `${source.path}: ${thrown.code ?? thrown.message}` }, { cause: thrown });
    });
    return { instance: 'local' as InstanceId, address: '127.0.0.1', userData: parseUserData(bytes, source.path) };
  }
  const { imds } = source;
  const required = async (path: string) => {
    const text = await imds.get(path, signal);
    if (!text) throw new Failure('IMDS_UNAVAILABLE', { endpoint: imds.endpoint, path, detail: 'nothing there' });
    return text;
  };
  const [bytes, instance, address] = await Promise.all([
    imds.read('/latest/user-data', signal),
    required('/latest/meta-data/instance-id'),
    required('/latest/meta-data/local-ipv4'),
  ]);
  return { instance: instance as InstanceId, address, userData: parseUserData(bytes, 'the instance metadata') };
}

/** How cloud-init tells the kinds of user data apart: the first line (cloudinit/handlers, INCLUSION_TYPES_MAP). */
const otherKinds = [
  ['#!', 'USER_DATA_SCRIPT'],
  ['## template: jinja', 'USER_DATA_CLOUD_CONFIG'],
  ['#cloud-', 'USER_DATA_CLOUD_CONFIG'],
  ['#include', 'USER_DATA_CLOUD_CONFIG'],
  ['#part-handler', 'USER_DATA_CLOUD_CONFIG'],
  ['#upstart-job', 'USER_DATA_CLOUD_CONFIG'],
  ['content-type:', 'USER_DATA_MULTIPART'],
  ['mime-version:', 'USER_DATA_MULTIPART'],
] as const;

/**
 * The user data in `bytes`, which came from `source`; nothing of it is ever run. Throws USER_DATA_EMPTY, _SCRIPT, _CLOUD_CONFIG, _MULTIPART,
 * _TOO_LARGE, _NOT_JSON, _NEWER, _INVALID, and UNPINNED for valid user data without a release.
 */
export function parseUserData(bytes: Buffer | undefined, source: string): UserData {
  const start = bytes
    ?.toString('latin1')
    .replace(/^\xEF\xBB\xBF/, '')
    .trimStart()
    .slice(0, 64)
    .toLowerCase();
  if (bytes === undefined || !start) throw new Failure('USER_DATA_EMPTY', { source });
  const other = otherKinds.find(([prefix]) => start.startsWith(prefix));
  if (other !== undefined) throw new Failure(other[1], { source });
  if (bytes.length > userDataLimitBytes) throw new Failure('USER_DATA_TOO_LARGE', { source, sizeBytes: bytes.length, limitBytes: userDataLimitBytes });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    // Not as its cause: the parser's message quotes the text, and user data of another kind may hold anything.
    throw new Failure('USER_DATA_NOT_JSON', { source }, { cause: (cause as Error).name });
  }
  const found = (value as { schemaVersion?: unknown } | null)?.schemaVersion;
  const known = userDataSchema.properties.schemaVersion.const;
  if (typeof found === 'number' && found > known) throw new Failure('USER_DATA_NEWER', { source, found, known });
  const problem = firstProblem(userDataSchema, value);
  if (problem !== undefined) throw new Failure('USER_DATA_INVALID', { source, ...problem });
  if (!Object.hasOwn(value as object, 'release')) throw new Failure('UNPINNED', { source });
  return value as UserData;
}
