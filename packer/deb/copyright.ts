import type { LockedPackage } from './bundled-packages.ts';

/** `debian/copyright` and the MIT licence's own words, for packages that name it and have no copy. */
export type Wording = { readonly head: string; readonly mit: string };

/**
 * The package's copyright file: pinion's own terms, Node's as they are, and those of every bundled package. Texts that are equal stand once; the Apache
 * License is Debian's copy (Debian Policy 12.5), its copyright lines and notices are kept.
 */
export function copyright({ head, mit }: Wording, node: LockedPackage, packages: readonly LockedPackage[]): string {
  const owners = new Map<string, string[]>();
  for (const bundled of packages) {
    const terms = termsOf(bundled, mit);
    owners.set(terms, [...(owners.get(terms) ?? []), `${bundled.name} ${bundled.version}`]);
  }
  const sections = [
    [`/usr/lib/pinion/node: Node.js ${node.version}`, node.licenceTexts.join('\n\n')],
    ...[...owners].map(([terms, names]) => [`In /usr/lib/pinion/agent.mjs or boot.mjs:\n  ${names.join('\n  ')}`, terms]),
  ];
  return [head.trim(), ...sections.flatMap(([title, terms]) => ['-'.repeat(78), title, terms]), ''].join('\n\n').trimEnd().concat('\n');
}

function termsOf({ name, licence, author, licenceTexts }: LockedPackage, mit: string): string {
  if (licence === 'Apache-2.0') {
    const notices = licenceTexts.filter((text) => !text.includes('TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION'));
    const owners = licenceTexts.flatMap((text) => text.match(/^ *Copyright (?:\(c\) )?\d.*$/gim) ?? []).map((line) => line.trim());
    return [...owners, ...notices, 'Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0'].join('\n\n');
  }
  if (licenceTexts.length > 0) return licenceTexts.join('\n\n');
  if (licence === 'MIT') return `MIT License\n\nCopyright (c) ${author || `the authors of ${name}`}\n\n${mit.trim()}`;
  throw new Error(`${name} is under ${licence} and has no copy of it: add its text in packer/deb/copyright.ts`);
}
