import type { XStatic } from 'typebox/schema';
import { configName, pythonVersion, slug } from './names.ts';

const seconds = { type: 'integer', minimum: 1, maximum: 3600 } as const;

/** JSON Schema of the gunicorn settings an app chooses; everything else about gunicorn is pinion's. */
export const gunicornSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['workers', 'threads', 'timeoutSeconds', 'gracefulTimeoutSeconds', 'keepAliveSeconds'],
  properties: {
    workers: { type: 'integer', minimum: 1, maximum: 64, default: 2, description: 'Worker processes.' },
    threads: { type: 'integer', minimum: 1, maximum: 256, default: 4, description: '1 means sync workers, more means gthread.' },
    timeoutSeconds: { ...seconds, default: 30, description: 'A sync worker that answers nothing for so long is replaced.' },
    gracefulTimeoutSeconds: { ...seconds, default: 30, description: 'At least the longest request.' },
    keepAliveSeconds: { ...seconds, default: 75, description: "Longer than the load balancer's idle timeout (60 s by default)." },
  },
} as const;

/** JSON Schema of `manifest.json`, the first entry of every artifact. */
export const manifestSchema = {
  $id: 'manifest',
  type: 'object',
  additionalProperties: false,
  required: ['schemaVersion', 'app', 'entryPoint', 'python', 'platform', 'gunicorn', 'healthPath', 'config'],
  properties: {
    schemaVersion: { const: 1 },
    app: { ...slug, description: 'The app.' },
    entryPoint: {
      type: 'string',
      pattern: '^[A-Za-z_][\\w.]*:[A-Za-z_][^\\n\\0]{0,200}$',
      description: 'module:app or module:factory(), as gunicorn takes it.',
    },
    python: { ...pythonVersion, description: 'The interpreter that it was compiled for.' },
    platform: { type: 'string', pattern: '^[a-z0-9_]{1,64}$', description: 'Platform tag as pip spells it.' },
    gunicorn: gunicornSchema,
    healthPath: { type: 'string', pattern: '^/[!-~]{0,255}$', description: 'Answers 200 when this process can serve; tests no shared dependency.' },
    releaseHeader: {
      type: 'string',
      pattern: '^[A-Za-z][A-Za-z0-9-]{0,63}$',
      description: 'Response header in which the app sends PINION_RELEASE; asserted by smoke tests.',
    },
    config: {
      type: 'array',
      items: configName,
      uniqueItems: true,
      maxItems: 100,
      description: 'Names of the config the app needs; each becomes an environment variable.',
    },
  },
} as const;

export type Manifest = XStatic<typeof manifestSchema>;
export type GunicornSettings = Manifest['gunicorn'];
