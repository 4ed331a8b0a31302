import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A package of the lock file, as it is installed. */
export type LockedPackage = {
  readonly name: string;
  readonly version: string;
  /** An SPDX identifier or expression. */
  readonly licence: string;
  /** Of its archive in the registry: `sha512-` and base64. */
  readonly integrity: string;
  readonly author: string;
  /** Texts of its licence and notice files. */
  readonly licenceTexts: readonly string[];
};

type Lock = { readonly packages: Readonly<Record<string, { readonly version: string; readonly license?: string; readonly integrity?: string }>> };
type Description = {
  readonly license?: string;
  readonly licenses?: readonly { readonly type: string }[];
  readonly author?: string | { readonly name?: string };
};

/** The packages that these files of a bundle come from, by name and version. */
export function bundledPackages(root: string, inputs: readonly string[]): readonly LockedPackage[] {
  const folders = new Set(inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []));
  const packages = [...folders].map((folder) => lockedPackage(root, folder));
  return packages.sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));
}

/** The package in this folder, such as `node_modules/pino`. */
export function lockedPackage(root: string, folder: string): LockedPackage {
  const { version, license, integrity } = (JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock).packages[folder] ?? {};
  if (version === undefined || integrity === undefined) throw new Error(`package-lock.json has no version or integrity of ${folder}: npm install`);
  const description: Description = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  const licence = license ?? description.license ?? description.licenses?.[0]?.type;
  if (licence === undefined) throw new Error(`${folder} names no licence: look for its terms before it is shipped`);
  const texts = readdirSync(join(root, folder)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  return {
    name: folder.replace(/^.*node_modules\//, ''),
    version,
    licence,
    integrity,
    author: (typeof description.author === 'string' ? description.author : description.author?.name) ?? '',
    licenceTexts: texts.sort().map((file) => readFileSync(join(root, folder, file), 'utf8').trim()),
  };
}
