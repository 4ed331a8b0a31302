/** What the verbs say while they work; the CLI renders it, `local/start.ts` as well. */
export type Progress =
  | { readonly event: 'interpreter'; readonly version: string; readonly path: string }
  | { readonly event: 'fetching'; readonly file: string }
  | { readonly event: 'wheels'; readonly count: number; readonly packed: number }
  | { readonly event: 'ignored'; readonly count: number; readonly first: string }
  | { readonly event: 'uncompiled'; readonly path: string }
  | { readonly event: 'archiving'; readonly files: number; readonly unpackedBytes: number }
  | { readonly event: 'publishing'; readonly object: string; readonly sizeBytes: number };

export type Say = (event: Progress) => void;

/** What every verb that takes time is given beside its arguments. */
export type Follow = { readonly say?: Say; readonly signal?: AbortSignal };

/** `follow` with nothing missing: silence, and a signal that never comes. */
export const followed = ({ say = () => undefined, signal = new AbortController().signal }: Follow): Required<Follow> => ({ say, signal });
