/** Names that both planes spell the same way: Parameter Store paths and branded strings. */

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** 64 lower-case hexadecimal digits. */
export type Sha256 = Branded<string, 'Sha256'>;
/** Version number of the release parameter, from 1. */
export type ReleaseNumber = Branded<number, 'ReleaseNumber'>;
/** EC2's `i-…`, or `local` for an agent that was given its user data as a file. */
export type InstanceId = Branded<string, 'InstanceId'>;

/** JSON Schema of an app or environment name: it becomes a path segment, a metric dimension and a resource name. */
export const slug = { type: 'string', pattern: '^[a-z][a-z0-9-]{0,31}$' } as const;
/** JSON Schema of a config name: an environment variable that collides neither with pinion's own nor with those by which gunicorn would leave its listener or its supervisor. */
export const configName = { type: 'string', pattern: '^(?!PINION_|(GUNICORN_CMD_ARGS|LISTEN_FDS|LISTEN_PID|NOTIFY_SOCKET)$)[A-Z][A-Z0-9_]{0,127}$' } as const;
export const sha256Hex = { type: 'string', pattern: '^[0-9a-f]{64}$' } as const;
export const durationMs = { type: 'integer', minimum: 1, maximum: 86_400_000 } as const;
export const pythonVersion = { type: 'string', pattern: '^3\\.[0-9]{1,2}$' } as const;

type Place = { readonly app: string; readonly env: string };

export const releasePath = ({ app, env }: Place): string => `/pinion/${app}/${env}/release`;
export const infrastructurePath = ({ app, env }: Place): string => `/pinion/${app}/${env}/infrastructure`;
/** The environment's KMS key for SecureString config, which Terraform makes. */
export const configKeyAlias = ({ app, env }: Place): string => `alias/pinion/${app}/${env}/config`;
export const configPath = ({ app, env }: Place, name: string): string => `/pinion/${app}/${env}/config/${name}`;

/** S3 key of an artifact: its own digest, so that equal bytes are one object. */
export const artifactKey = (app: string, sha256: Sha256): string => `${app}/${sha256}.tar.zst`;
