import { globSync, readFileSync } from 'node:fs';

const fallback = 'http://deb.debian.org/debian';

/** The Debian mirror that this machine installs from. */
export const debianMirror = (): string => {
  const files = [...globSync('/etc/apt/sources.list.d/*.{sources,list}').sort(), ...globSync('/etc/apt/sources.list')];
  return mirrorIn(files.map((file) => readFileSync(file, 'utf8')));
};

/** The first address, in one-line or deb822 form (sources.list(5)), of a whole Debian archive over HTTP; security updates and other vendors' are none. */
export function mirrorIn(texts: readonly string[]): string {
  for (const stanza of texts.flatMap((text) => text.split(/\n\s*\n/))) {
    const lines = stanza.split('\n').map((line) => line.replace(/(^|\s)#.*/, '').trim());
    if (lines.some((line) => /^Enabled:\s*no$/i.test(line))) continue;
    const addresses = lines.flatMap((line) => (/^(deb\s|URIs:)/.test(line) ? line.split(/\s+/) : []));
    const found = addresses.find((address) => /^https?:\/\/\S+\/debian\/?$/.test(address));
    if (found !== undefined) return found;
  }
  return fallback;
}
