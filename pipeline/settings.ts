import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { Failure } from '../contract/causes.ts';
import { firstProblem } from '../contract/document.ts';
import { type GunicornSettings, gunicornSchema, manifestSchema } from '../contract/manifest.ts';
import { configName, pythonVersion, slug } from '../contract/names.ts';

/** `[tool.pinion]` of an app's `pyproject.toml`, with its defaults. */
export type Settings = {
  readonly app: string;
  readonly entryPoint: string;
  /** Python that the app is built for, `X.Y`, unless a build names another. */
  readonly python: string;
  readonly healthPath: string;
  readonly releaseHeader: string | undefined;
  /** Response header in which the app sends PINION_INSTANCE. */
  readonly instanceHeader: string | undefined;
  readonly smoke: { readonly paths: readonly SmokePath[]; readonly budgetSeconds: number };
  readonly config: readonly string[];
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Taken although git ignores them. */
  readonly generated: readonly string[];
  readonly gunicorn: GunicornSettings;
  /** Values for the local cloud alone. */
  readonly localConfig: Readonly<Record<string, string>>;
};

/** One request of smoke, and what its answer must be. */
export type SmokePath = { readonly path: string; readonly status: number; readonly text: string | undefined };

const { entryPoint, healthPath, releaseHeader, config } = manifestSchema.properties;
const gunicorn = gunicornSchema.properties;
const globs = { type: 'array', items: { type: 'string', minLength: 1, maxLength: 256 } } as const;

const status = { type: 'integer', minimum: 100, maximum: 599, default: 200 } as const;
const bodyText = { type: 'string', minLength: 1, maxLength: 1024, description: 'Must be in the body.' } as const;
const smokeSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    paths: {
      type: 'array',
      minItems: 1,
      maxItems: 50,
      items: {
        anyOf: [healthPath, { type: 'object', additionalProperties: false, required: ['path'], properties: { path: healthPath, status, text: bodyText } }],
      },
      description: 'Asked through the load balancer before a release is live; the health path without it.',
    },
    status,
    text: bodyText,
    'budget-seconds': { type: 'integer', minimum: 1, maximum: 3600, default: 60, description: 'Smoke is repeated for so long before it has failed.' },
  },
} as const;

/** JSON Schema of `[tool.pinion]`. */
export const settingsSchema = {
  $id: 'settings',
  type: 'object',
  additionalProperties: false,
  required: ['app', 'entry-point', 'python'],
  properties: {
    app: slug,
    'entry-point': entryPoint,
    python: pythonVersion,
    'health-path': { ...healthPath, default: '/healthz' },
    'release-header': releaseHeader,
    'instance-header': { ...releaseHeader, description: 'Response header in which the app sends PINION_INSTANCE; smoke then waits for every instance.' },
    smoke: smokeSchema,
    config: { ...config, default: [] },
    include: { ...globs, default: ['**/*'], description: 'Files of the app; a glob that matches a folder takes all below it.' },
    exclude: { ...globs, default: [] },
    generated: { ...globs, default: [], description: 'Files of the app that a build step makes and git ignores.' },
    gunicorn: {
      type: 'object',
      additionalProperties: false,
      properties: {
        workers: gunicorn.workers,
        threads: gunicorn.threads,
        'timeout-seconds': gunicorn.timeoutSeconds,
        'graceful-timeout-seconds': gunicorn.gracefulTimeoutSeconds,
        'keep-alive-seconds': gunicorn.keepAliveSeconds,
      },
    },
    local: {
      type: 'object',
      additionalProperties: false,
      properties: {
        config: {
          type: 'object',
          propertyNames: configName,
          additionalProperties: { type: 'string', minLength: 1 },
          description: 'Values for the local cloud; the other names get random secrets there.',
        },
      },
    },
  },
} as const;

/** What a schema says in a pattern, by the place that breaks it. */
const rulesInWords: readonly (readonly [RegExp, string])[] = [
  [/^\/app$/, 'must be a string of up to 32 lower-case letters, digits and hyphens that begins with a letter'],
  [/^\/entry-point$/, 'must be "module:app" or "module:factory()"'],
  [/^\/python$/, 'must be a string such as "3.13", in quotes'],
  [/^\/health-path$/, 'must be a string that begins with / and has no space, up to 256 characters'],
  [/^\/smoke\/paths/, 'must be a path that begins with /, or { path, status, text }'],
  [/^\/(release|instance)-header$/, 'must be a string of up to 64 letters, digits and hyphens that begins with a letter'],
  [/^\/config\/\d+$/, 'must be a string of capitals, digits and _ that begins with a letter and not with PINION_, and is not a name of gunicorn or systemd'],
  [/^\/local\/config\/./, 'must be a name as in config, with a string that is not empty'],
];

type Given = {
  readonly app: string;
  readonly 'entry-point': string;
  readonly python: string;
  readonly 'health-path'?: string;
  readonly 'release-header'?: string;
  readonly 'instance-header'?: string;
  readonly smoke?: {
    readonly paths?: readonly (string | { readonly path: string; readonly status?: number; readonly text?: string })[];
    readonly status?: number;
    readonly text?: string;
    readonly 'budget-seconds'?: number;
  };
  readonly config?: readonly string[];
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly generated?: readonly string[];
  readonly gunicorn?: Readonly<Record<string, number>>;
  readonly local?: { readonly config?: Readonly<Record<string, string>> };
};

/** The settings of the app in `appDir`. Throws SETTINGS_MISSING, or SETTINGS_INVALID with the path in the file. */
export async function readSettings(appDir: string): Promise<Settings> {
  const file = join(appDir, 'pyproject.toml');
  const text = await readFile(file, 'utf8').catch(async (cause) => {
    const absent = await access(appDir).then(
      () => file,
      () => appDir,
    );
    throw new Failure('SETTINGS_MISSING', { detail: `${absent} ${cause.code === 'ENOENT' ? 'does not exist' : `cannot be read (${cause.code})`}` }, { cause });
  });
  let document: { readonly tool?: { readonly pinion?: unknown } };
  try {
    document = parse(text);
  } catch (cause) {
    // The parser's message quotes the file, and a local value may be in it.
    const line = (cause as { line?: number }).line ?? 1;
    throw new Failure('SETTINGS_INVALID', { file, path: `line ${line}`, problem: 'it is not TOML' }, { cause });
  }
  const pinion = document.tool?.pinion;
  if (pinion === undefined) throw new Failure('SETTINGS_MISSING', { detail: `${file} has none` });
  const problem = firstProblem(settingsSchema, pinion);
  if (problem !== undefined) {
    const words = rulesInWords.find(([path]) => path.test(problem.path))?.[1];
    throw new Failure('SETTINGS_INVALID', { file, path: `/tool/pinion${problem.path}`.replace(/\/$/, ''), problem: words ?? problem.problem });
  }
  const settings = withDefaults(pinion as Given);
  const stray = Object.keys(settings.localConfig).find((name) => !settings.config.includes(name));
  if (stray !== undefined) {
    throw new Failure('SETTINGS_INVALID', { file, path: `/tool/pinion/local/config/${stray}`, problem: 'config does not name it' });
  }
  return settings;
}

function withDefaults(given: Given): Settings {
  const chosen = settingsSchema.properties;
  const server = given.gunicorn ?? {};
  return {
    app: given.app,
    entryPoint: given['entry-point'],
    python: given.python,
    healthPath: given['health-path'] ?? chosen['health-path'].default,
    releaseHeader: given['release-header'],
    instanceHeader: given['instance-header'],
    smoke: smokeOf(given),
    config: given.config ?? chosen.config.default,
    include: given.include ?? chosen.include.default,
    exclude: given.exclude ?? chosen.exclude.default,
    generated: given.generated ?? chosen.generated.default,
    gunicorn: {
      workers: server.workers ?? gunicorn.workers.default,
      threads: server.threads ?? gunicorn.threads.default,
      timeoutSeconds: server['timeout-seconds'] ?? gunicorn.timeoutSeconds.default,
      gracefulTimeoutSeconds: server['graceful-timeout-seconds'] ?? gunicorn.gracefulTimeoutSeconds.default,
      keepAliveSeconds: server['keep-alive-seconds'] ?? gunicorn.keepAliveSeconds.default,
    },
    localConfig: given.local?.config ?? {},
  };
}

function smokeOf({ smoke = {}, 'health-path': path = settingsSchema.properties['health-path'].default }: Given): Settings['smoke'] {
  const { paths = [path], status: usual = status.default, text, 'budget-seconds': budgetSeconds = smokeSchema.properties['budget-seconds'].default } = smoke;
  const one = (given: string | { readonly path: string; readonly status?: number; readonly text?: string }): SmokePath =>
    typeof given === 'string' ? { path: given, status: usual, text } : { path: given.path, status: given.status ?? usual, text: given.text ?? text };
  return { paths: paths.map(one), budgetSeconds };
}
