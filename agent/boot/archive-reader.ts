import { Failure } from '../../contract/causes.ts';
import { archiveEntries, blockBytes, type Entry, isUnset, type Verdict } from './archive-entry.ts';

/** What an archive is to be, by its record; `object` names it in sentences. */
type Expected = { readonly object: string; readonly files: number; readonly unpackedBytes: number };
/** Gets, in the archive's order, what was accepted: a file's contents lie between its `file` and its `fileEnd`. */
type Sink = { folder(entry: Entry): void; file(entry: Entry): void; contents(bytes: Uint8Array): void; fileEnd(): void };

/**
 * Cuts a decompressed archive into headers and contents and holds it to the record's counts: what is refused, or beyond them, never reaches `sink`.
 * Pure but for `sink`. Throws ARCHIVE_REFUSED, ARCHIVE_CORRUPT, ARCHIVE_TOO_LARGE, and at the end ARCHIVE_TRUNCATED.
 */
export function archiveReader({ object, files, unpackedBytes }: Expected, sink: Sink) {
  const entries = archiveEntries();
  // A header, an extended header or padding, gathered across chunks; file contents pass through.
  let gathered: Uint8Array = new Uint8Array(0);
  let state: 'header' | 'extension' | 'contents' | 'padding' | 'last' | 'ended' = 'header';
  let left = 0;
  const found = { files: 0, bytes: 0, folders: 0 };
  const padding = (sizeBytes: number) => (blockBytes - (sizeBytes % blockBytes)) % blockBytes;
  const tooLarge = () => new Failure('ARCHIVE_TOO_LARGE', { object, files, bytes: unpackedBytes });
  const isCorrupt = (detail: string) => new Failure('ARCHIVE_CORRUPT', { object, detail });
  const reject = (verdict: Verdict | undefined) => {
    if (verdict?.verdict === 'refuse') throw new Failure('ARCHIVE_REFUSED', { object, entry: verdict.entry, reason: verdict.reason });
    if (verdict?.verdict === 'corrupt') throw isCorrupt(verdict.detail);
  };

  const expect = (next: typeof state, bytes: number) => {
    state = next;
    left = bytes;
  };
  const endContents = (sizeBytes: number) => {
    sink.fileEnd();
    found.bytes += sizeBytes;
    found.files += 1;
    if (padding(sizeBytes) > 0) expect('padding', padding(sizeBytes));
    else expect('header', blockBytes);
  };
  let fileBytes = 0;
  const header = (block: Uint8Array) => {
    const verdict = entries.header(block);
    reject(verdict);
    if (verdict.verdict === 'end') return expect('last', blockBytes);
    if (verdict.verdict === 'extension') {
      fileBytes = verdict.sizeBytes;
      return expect('extension', verdict.sizeBytes + padding(verdict.sizeBytes));
    }
    if (verdict.verdict !== 'accept') return;
    const { entry } = verdict;
    if (entry.kind === 'folder') {
      // The record counts no folders; without a bound they would be a way to take every inode.
      if (++found.folders > 2 * files + 1000) throw tooLarge();
      sink.folder(entry);
      return expect('header', blockBytes);
    }
    if (found.files === files || found.bytes + entry.sizeBytes > unpackedBytes) throw tooLarge();
    fileBytes = entry.sizeBytes;
    sink.file(entry);
    if (fileBytes === 0) endContents(0);
    else expect('contents', fileBytes);
  };
  const whole = (bytes: Uint8Array) => {
    if (state === 'header') return header(bytes);
    if (!isUnset(bytes, state === 'extension' ? fileBytes : 0, bytes.length)) throw isCorrupt('its padding or its end is not zero');
    if (state === 'extension') reject(entries.extend(bytes.subarray(0, fileBytes)));
    expect(state === 'last' ? 'ended' : 'header', blockBytes);
  };
  expect('header', blockBytes);

  return {
    push(chunk: Uint8Array): void {
      for (let at = 0; at < chunk.length; ) {
        if (state === 'ended') throw isCorrupt('something follows its end');
        const bytes = chunk.subarray(at, at + left);
        at += bytes.length;
        left -= bytes.length;
        if (state === 'contents') {
          sink.contents(bytes);
          if (left === 0) endContents(fileBytes);
        } else if (left > 0) {
          gathered = joined(gathered, bytes);
        } else {
          const block = gathered.length === 0 ? bytes : joined(gathered, bytes);
          gathered = new Uint8Array(0);
          whole(block);
        }
      }
    },
    end(): void {
      if (found.files < files || found.bytes < unpackedBytes) {
        throw new Failure('ARCHIVE_TRUNCATED', { object, foundFiles: found.files, foundBytes: found.bytes, files, bytes: unpackedBytes });
      }
      if (state !== 'ended') throw isCorrupt('its end is missing');
    },
  };
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
