import { infrastructureSchema } from '../contract/infrastructure.ts';
import { manifestSchema } from '../contract/manifest.ts';
import { recordSchema } from '../contract/release.ts';
import { userDataSchema } from '../contract/user-data.ts';

/** The text of `docs/documents.md`: every field of the documents that one program writes and another reads. */
export const documentsPage = (): string => `${[intro, ...documents.map(document)].join('\n\n')}\n`;

const intro = `# Documents

<!-- Generated from the JSON Schemas in contract/ by \`npm run docs\`: do not edit. -->

What one program writes and another reads, all JSON. The schema in \`contract/\` is the type, the check at run time and this page.
The agent refuses a field that is not listed and a \`schemaVersion\` it does not know, instead of guessing.
\`a.b\` is the field \`b\` of the object \`a\`. Times are milliseconds.`;

const documents = [
  {
    title: 'User data',
    about: `The user data of one launch-template version: which release an instance boots. Composed by \`composeUserData\` in
\`contract/infrastructure.ts\`, read by the agent from the metadata service or from a file. At most 4096 bytes. \`recordSha256\` is what makes the number
safe: the agent refuses version N if its bytes have another digest.
Without \`release\` and \`recordSha256\` an instance ends as \`UNPINNED\`.`,
    schema: userDataSchema,
  },
  {
    title: 'Release record',
    about: `One version of the SSM parameter \`/pinion/<app>/<env>/release\`; release N is version N. Written once by \`pinion release\`, read by the agent.
At most 8192 bytes. It names the artifact by digest and VersionId and every config value by its version, so nothing in a release can move.`,
    schema: recordSchema,
  },
  {
    title: 'Manifest',
    about: `\`manifest.json\`, the first entry of an artifact. Written by \`pinion build\` from \`[tool.pinion]\` ([app contract](app-contract.md)), read by the
agent after the artifact's digest was verified. \`app\`, \`python\` and \`platform\` must equal the record's.`,
    schema: manifestSchema,
  },
  {
    title: 'Infrastructure',
    about: `The SSM parameter \`/pinion/<app>/<env>/infrastructure\`: all that the CLI may rely on. Written by whoever owns the infrastructure
(\`npm start\` writes it on the local cloud). A verb looks only at the fields it needs: \`publish\` and \`release\` at \`artifactBucket\`.
\`autoScalingGroup\`, \`hooks\`, \`times\` and \`appRoleArn\` go into user data unchanged.`,
    schema: infrastructureSchema,
  },
];

type Schema = {
  readonly type?: string;
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly uniqueItems?: boolean;
  readonly maxItems?: number;
  readonly default?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly dependentRequired?: Readonly<Record<string, readonly string[]>>;
  readonly propertyNames?: Schema;
  readonly additionalProperties?: boolean | Schema;
};

const document = ({ title, about, schema }: (typeof documents)[number]): string =>
  [`## ${title}`, about, ['| field | type | required | meaning |', '|---|---|---|---|', ...rows(schema, '')].join('\n')].join('\n\n');

function rows(schema: Schema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const together = schema.dependentRequired?.[name];
    const required = schema.required?.includes(name) ? 'yes' : together === undefined ? 'no' : `with ${together.map(code).join(', ')}`;
    return [`| ${[code(prefix + name), typeOf(field), required, field.description ?? ''].join(' | ')} |`, ...rows(field, `${prefix}${name}.`)];
  });
}

/** Type and constraints in words. */
function typeOf(field: Schema): string {
  if ('const' in field) return code(JSON.stringify(field.const));
  const { type = 'any', items, propertyNames, additionalProperties, pattern, format, uniqueItems, maxItems } = field;
  const parts = [items === undefined ? type : `array of ${typeOf(items)}`];
  if (propertyNames !== undefined)
    parts[0] += ` from ${typeOf(propertyNames)} to ${typeof additionalProperties === 'object' ? typeOf(additionalProperties) : 'any'}`;
  if (format !== undefined) parts.push(format);
  if (pattern !== undefined) parts.push(code(pattern));
  parts.push(...bounds(field.minimum, field.maximum, ''), ...bounds(field.minLength, field.maxLength, ' characters'), ...bounds(undefined, maxItems, ' items'));
  if (uniqueItems) parts.push('no duplicates');
  if (field.default !== undefined) parts.push(`default ${code(JSON.stringify(field.default))}`);
  return parts.join(', ');
}

function bounds(least: number | undefined, most: number | undefined, unit: string): string[] {
  const isOpen = most === undefined || most === Number.MAX_SAFE_INTEGER;
  if (least === undefined) return isOpen ? [] : [`at most ${most}${unit}`];
  return [isOpen ? `at least ${least}${unit}` : `${least} to ${most}${unit}`];
}

// A bar would end the table's cell, in code too.
const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``;
