import type { LockedPackage } from './bundled-packages.ts';

type Licence = { readonly license: { readonly id: string } } | { readonly expression: string };
type Component = {
  readonly type: 'application' | 'library' | 'platform';
  readonly 'bom-ref': string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly hashes?: readonly { readonly alg: 'SHA-512'; readonly content: string }[];
  readonly licenses?: readonly [Licence];
  readonly cpe?: string;
  readonly purl?: string;
  readonly components?: readonly Component[];
};

/** https://cyclonedx.org/docs/1.6/json/ */
export type Sbom = {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.6';
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
};

export type NodeParts = {
  /** The npm package that the binary comes from. */
  readonly origin: LockedPackage;
  /** `process.versions`: Node, and what is built into it. */
  readonly versions: Readonly<Record<string, string>>;
};

/** What is in the package, without a time or a serial number: equal contents give equal bytes. A package's hash is that of its archive in the registry. */
export function sbom(version: string, packages: readonly LockedPackage[], { origin, versions }: NodeParts): Sbom {
  const { node, ...parts } = versions;
  const platform: Component = {
    ...npmComponent(origin),
    type: 'platform',
    name: 'node',
    // So that advisories of Node itself are found, which do not know the npm package.
    cpe: `cpe:2.3:a:nodejs:node.js:${node}:*:*:*:-:*:*:*`,
    components: Object.entries(parts)
      .filter(([name, at]) => at !== '' && !interfaces.has(name))
      .map(([name, at]) => ({ type: 'library', 'bom-ref': `node/${name}`, name, version: at })),
  };
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', 'bom-ref': 'pinion-agent', name: 'pinion-agent', version, licenses: [licenceOf('Apache-2.0')] } },
    components: [platform, ...packages.map(npmComponent)],
  };
}

/** Versions of interfaces and of data formats: no software that could be vulnerable. */
const interfaces: ReadonlySet<string> = new Set(['modules', 'napi', 'unicode']);

function npmComponent({ name, version, licence, integrity }: LockedPackage): Component {
  const [scope, bare] = name.startsWith('@') ? name.split('/') : [undefined, name];
  // https://github.com/package-url/purl-spec: the @ of a scope is escaped.
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  return {
    type: 'library',
    'bom-ref': purl,
    ...(scope !== undefined && { group: scope }),
    name: bare ?? name,
    version,
    hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex') }],
    licenses: [licenceOf(licence)],
    purl,
  };
}

const licenceOf = (licence: string): Licence => (/^[\w.+-]+$/.test(licence) ? { license: { id: licence } } : { expression: licence });
