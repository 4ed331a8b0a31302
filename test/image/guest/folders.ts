import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectRoot = fileURLToPath(new URL('../../..', import.meta.url));
/** Everything that image tests keep between runs, outside git. */
export const imageFolder = join(projectRoot, '.pinion', 'image');
/** A mount point: every lab lays a tmpfs of its own over it, seen by its process alone. */
export const labFolder = join(imageFolder, 'lab');
/** In a lab: its network namespace, and the one it was entered from. */
export const labNetwork = join(labFolder, 'inside');
export const outsideNetwork = join(labFolder, 'outside');
