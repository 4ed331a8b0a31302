/** Rules for the paths inside an artifact: what the build refuses to pack and the agent refuses to unpack. */

/** Written by the agent itself once a tree is verified: what makes it a virtual environment. */
export const agentNames: readonly string[] = ['pyvenv.cfg', 'bin'];

const pathLimitBytes = 1024;
/** Longest file name of Linux file systems. */
const segmentLimitBytes = 255;
/** No package comes near. */
const depthLimit = 32;

const encoder = new TextEncoder();
const isAscii = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);
const bytesOf = (text: string): number => (isAscii(text) ? text.length : encoder.encode(text).length);

/** One name for all that a file system without case, or one that normalises names, takes for the same. */
export const foldedPath = (path: string): string => (isAscii(path) ? path.toLowerCase() : path.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC'));

/** Why no artifact holds this path, or undefined when it may. Relative, with slashes, without one at its end. */
export function pathProblem(path: string): string | undefined {
  if (path === '') return 'its name is empty';
  if (path.startsWith('/')) return 'its name is absolute';
  if (/[\p{Cc}\\]/u.test(path)) return 'its name has a control character or a backslash';
  if (!path.isWellFormed()) return 'its name is not Unicode';
  if (bytesOf(path) > pathLimitBytes) return `its path is over ${pathLimitBytes} bytes`;
  const segments = path.split('/');
  if (segments.length > depthLimit) return `it is more than ${depthLimit} folders deep`;
  for (const segment of segments) {
    if (segment === '' || segment === '.' || segment === '..') return 'its name has an empty, . or .. segment';
    if (bytesOf(segment) > segmentLimitBytes) return `a name in it is over ${segmentLimitBytes} bytes`;
  }
  return agentNames.includes(foldedPath(segments[0] ?? '')) ? 'its name is kept for the agent' : undefined;
}

/** A name as a sentence may hold it: no control or format characters, at most 120 characters. */
export const printable = (name: string): string => {
  const escaped = name.replace(/[\p{C}\p{Zl}\p{Zp}\\]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
  return escaped.length <= 120 ? escaped || '(empty)' : `${escaped.slice(0, 119)}…`;
};
