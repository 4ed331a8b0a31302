import { join } from 'node:path';
import type { Artifact } from '../../contract/release.ts';

/** An artifact as sentences name it. */
export const objectName = ({ bucket, key, versionId }: Artifact): string => `s3://${bucket}/${key}?versionId=${versionId}`;

/** `<stateFolder>/releases`: what is installed, or on its way, each under the digest of its artifact. */
export const releasesFolder = (stateFolder: string): string => join(stateFolder, 'releases');

/**
 * Where one release lives. `tree` is only ever whole: it comes by one rename of `partialTree`. `list` is what a later start compares it with.
 * The two partial ones exist only while a boot works on them.
 */
export function releasePaths(stateFolder: string, { sha256 }: Pick<Artifact, 'sha256'>) {
  const releases = releasesFolder(stateFolder);
  return {
    tree: join(releases, sha256),
    list: join(releases, `${sha256}.list`),
    partialTree: join(releases, `${sha256}.partial`),
    partialFile: join(releases, `${sha256}.tar.zst.partial`),
  };
}
