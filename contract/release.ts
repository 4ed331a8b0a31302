import type { XStatic } from 'typebox/schema';
import { configName, pythonVersion, type ReleaseNumber, type Sha256, sha256Hex, slug } from './names.ts';

const text = { type: 'string', maxLength: 256 } as const;
const count = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER } as const;

export const artifactSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['bucket', 'key', 'versionId', 'sha256', 'sizeBytes', 'unpackedBytes', 'files'],
  properties: {
    bucket: { type: 'string', minLength: 3, maxLength: 63, description: 'The artifact bucket of the app.' },
    key: { type: 'string', minLength: 1, maxLength: 1024, description: 'Made of the app and the digest, so that equal bytes are one object.' },
    versionId: { type: 'string', minLength: 1, maxLength: 1024, description: 'The version that is fetched, whatever came after it.' },
    sha256: { ...sha256Hex, description: 'Of the compressed archive.' },
    sizeBytes: { ...count, description: 'Bytes of the compressed archive.' },
    unpackedBytes: { ...count, description: 'Sum of the sizes of its regular files.' },
    files: { ...count, description: 'Number of its regular files.' },
  },
} as const;

/** JSON Schema of a release record: the value of one version of `/pinion/<app>/<env>/release`. */
export const recordSchema = {
  $id: 'release',
  type: 'object',
  additionalProperties: false,
  required: ['schemaVersion', 'app', 'env', 'artifact', 'config', 'python', 'platform', 'minAgent', 'commit', 'createdAt', 'createdBy', 'note'],
  properties: {
    schemaVersion: { const: 1 },
    app: { ...slug, description: 'The app; equal to the user data that names this record.' },
    env: { ...slug, description: 'The environment; equal to the user data that names this record.' },
    artifact: artifactSchema,
    config: { type: 'object', propertyNames: configName, additionalProperties: count, description: 'Parameter version of every config name.' },
    python: { ...pythonVersion, description: 'The interpreter that it was compiled for.' },
    platform: { type: 'string', pattern: '^[a-z0-9_]{1,64}$', description: 'Platform tag as pip spells it, such as linux_x86_64.' },
    minAgent: { type: 'string', pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$', description: 'The oldest agent that can boot it.' },
    commit: { ...text, minLength: 1, description: 'Commit of the sources, `-dirty` appended when the tree had changes; `unknown` outside git.' },
    createdAt: { type: 'string', format: 'date-time', description: 'When the release was made, UTC.' },
    createdBy: { ...text, minLength: 1, description: 'Who made it; information, not proof.' },
    note: { ...text, description: 'Why it was made, in the words of who made it.' },
  },
} as const;

export type Artifact = Omit<XStatic<typeof artifactSchema>, 'sha256'> & { readonly sha256: Sha256 };
export type ReleaseRecord = Omit<XStatic<typeof recordSchema>, 'artifact' | 'config'> & {
  readonly artifact: Artifact;
  readonly config: Readonly<Record<string, number>>;
};
/** A record that was read by number and proven by digest. */
export type Release = ReleaseRecord & { readonly number: ReleaseNumber; readonly recordSha256: Sha256 };

/** Advanced parameters hold 8 KB (AWS: Parameter Store quotas). */
export const recordLimitBytes = 8192;
