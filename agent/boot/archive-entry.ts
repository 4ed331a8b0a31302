import { foldedPath, pathProblem, printable } from '../../contract/artifact-path.ts';

/**
 * The archive's headers, accepted or refused: the exact inverse of what `pinion build` writes (ustar; PAX records `path` and `size` only;
 * regular files and folders only; owner 0, modes 0644 and 0755, time 0). Pure: what is accepted here has no way out of the folder it is unpacked into.
 */
export const blockBytes = 512;
/** An extended header holds at most one path and one size. */
const extensionLimitBytes = 2 * blockBytes + 512;
/** The manifest is read into memory. */
const manifestLimitBytes = 64 * 1024;
export type Entry = { readonly kind: 'file' | 'folder'; readonly path: string; readonly sizeBytes: number; readonly executable: boolean };
/** `extension`: the next `sizeBytes` (and their padding) go to `extend`, and the header after them is the entry's. `end`: the first of the two zero blocks. */
export type Verdict =
  | { readonly verdict: 'accept'; readonly entry: Entry }
  | { readonly verdict: 'extension'; readonly sizeBytes: number }
  | { readonly verdict: 'end' }
  | { readonly verdict: 'refuse'; readonly entry: string; readonly reason: string }
  | { readonly verdict: 'corrupt'; readonly detail: string };
type Extension = { readonly path?: string; readonly sizeBytes?: number };

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const typeNames: Readonly<Record<string, string>> = { 1: 'a hard link', 2: 'a symbolic link', 3: 'a device', 4: 'a device', 6: 'a FIFO' };

const corrupt = (detail: string): Verdict => ({ verdict: 'corrupt', detail });
const refuse = (entry: string, reason: string): Verdict => ({ verdict: 'refuse', entry: printable(entry), reason });

/** Judges the headers of one archive in their order. */
export function archiveEntries() {
  const seen = new Set<string>();
  const folders = new Set<string>(['']);
  let extension: Extension | undefined;

  return {
    /** One header block. Its last verdict is `end`, `refuse` or `corrupt`. */
    header(block: Uint8Array): Verdict {
      if (isUnset(block, 0, blockBytes)) return extension === undefined ? { verdict: 'end' } : corrupt('an extended header has no entry');
      if (!checksumFits(block)) return corrupt('the checksum of a header is wrong');
      if (latin1(block, 257, 265) !== 'ustar\x0000') return corrupt('a header is not ustar');
      const type = latin1(block, 156, 157);
      const name = text(block, 0, 100);
      const prefix = text(block, 345, 500);
      if (name === undefined || prefix === undefined) return refuse(latin1(block, 0, 100), 'its name is not UTF-8 text');
      const raw = extension?.path ?? (prefix === '' ? name : `${prefix}/${name}`);
      const headerSize = octal(block, 124, 12);
      const wrong = fieldProblem(block, type, headerSize);
      if (wrong !== undefined) return refuse(raw, wrong);
      if (type === 'x') return extension === undefined ? { verdict: 'extension', sizeBytes: headerSize } : refuse(raw, 'it has two extended headers');
      const sizeBytes = extension?.sizeBytes ?? headerSize;
      extension = undefined;
      const isFolder = type === '5';
      const path = isFolder ? raw.slice(0, -1) : raw;
      const problem =
        isFolder && !raw.endsWith('/') ? 'it is a folder whose name does not end with /' : (pathProblem(path) ?? placeProblem(path, sizeBytes, isFolder));
      if (problem !== undefined) return refuse(raw, problem);
      seen.add(foldedPath(path));
      if (isFolder) folders.add(path);
      return { verdict: 'accept', entry: { kind: isFolder ? 'folder' : 'file', path, sizeBytes, executable: !isFolder && octal(block, 100, 8) === 0o755 } };
    },
    /** The bytes that an `extension` verdict asked for, without padding; undefined when they are fine. */
    extend(bytes: Uint8Array): Verdict | undefined {
      const read = readExtension(bytes);
      if (typeof read === 'string') return refuse('(extended header)', read);
      extension = read;
      return undefined;
    },
  };

  function placeProblem(path: string, sizeBytes: number, isFolder: boolean): string | undefined {
    if (seen.size === 0 && (path !== 'manifest.json' || isFolder || sizeBytes > manifestLimitBytes))
      return 'the first entry is not a manifest.json of at most 64 KB';
    if (seen.has(foldedPath(path))) return 'its name, but for case or Unicode form, was there before';
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    return folders.has(parent) ? undefined : 'it does not follow a folder of that name';
  }
}

/** What is wrong with the fields beside the name: each has one or two values that pinion build writes. */
function fieldProblem(block: Uint8Array, type: string, sizeBytes: number): string | undefined {
  const mode = octal(block, 100, 8);
  if (type !== '0' && type !== '5' && type !== 'x') return `it is ${typeNames[type] ?? `of type ${printable(type)}`}, not a file or folder`;
  if (mode !== 0o755 && (mode !== 0o644 || type === '5')) return `its mode is not ${type === '5' ? '' : '0644 or '}0755`;
  if (sizeBytes < 0) return 'its size is not an octal number';
  if (type === '5' && sizeBytes > 0) return 'it is a folder with contents';
  if (type === 'x' && (sizeBytes === 0 || sizeBytes > extensionLimitBytes)) return `its extended header has ${sizeBytes} bytes`;
  const numbers = [108, 116, 329, 337].map((from) => octal(block, from, 8));
  if (octal(block, 136, 12) !== 0 || numbers.some((number) => number !== 0)) return 'its owner, time or device is not 0';
  const isRestUnset = isUnset(block, 157, 257) && isUnset(block, 265, 329) && isUnset(block, 500, 512);
  return isRestUnset ? undefined : 'it has a link, an owner name or other fields set';
}

/** PAX records `LEN key=value\n`, or what is wrong with them. */
function readExtension(bytes: Uint8Array): Extension | string {
  let rest = bytes;
  let extension: Extension = {};
  while (rest.length > 0) {
    const [, digits = ''] = /^([1-9][0-9]{0,3}) /.exec(latin1(rest, 0, 5)) ?? [];
    const record = rest.subarray(0, Number(digits));
    if (digits === '' || record.length !== Number(digits) || record.at(-1) !== 0x0a) return 'a record has a wrong length';
    const content = decoded(record.subarray(digits.length + 1, -1));
    const [, key, value = ''] = /^(path|size)=([^\0]+)$/s.exec(content ?? '') ?? [];
    if (key === undefined) return 'a record is neither a path nor a size';
    const field = key === 'path' ? { path: value } : { sizeBytes: /^[1-9][0-9]{0,14}$/.test(value) ? Number(value) : Number.NaN };
    if ((Object.keys(field)[0] as keyof Extension) in extension || Number.isNaN(field.sizeBytes)) return 'a record is there twice or is not a number';
    extension = { ...extension, ...field };
    rest = rest.subarray(record.length);
  }
  return extension;
}

const latin1 = (bytes: Uint8Array, from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));

/** Whether bytes `from` up to `to` are zero. A plain loop: 4,600 headers and their padding are on the way to ready. */
export function isUnset(block: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (block[at] !== 0) return false;
  return true;
}

/** A number field exactly as pinion build writes it: octal digits to the last byte but one, then NUL; -1 for any other. */
function octal(block: Uint8Array, from: number, length: number): number {
  let value = 0;
  for (let at = from; at < from + length - 1; at++) {
    const digit = (block[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) return -1;
    value = value * 8 + digit;
  }
  return block[from + length - 1] === 0 ? value : -1;
}

/** A NUL-padded text field; undefined when it is not UTF-8 or something stands behind its NUL. */
function text(block: Uint8Array, from: number, to: number): string | undefined {
  let end = from;
  while (end < to && block[end] !== 0) end++;
  return isUnset(block, end, to) ? decoded(block.subarray(from, end)) : undefined;
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function checksumFits(block: Uint8Array): boolean {
  let sum = 0;
  for (let i = 0; i < blockBytes; i++) sum += i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0);
  return block[155] === 0x20 && octal(block, 148, 7) === sum;
}
