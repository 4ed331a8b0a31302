import { readFileSync } from 'node:fs';

const roots = {
  state: 'where states are kept',
  app: 'what the environments of an app share, and its pipelines',
  environment: 'one environment of an app',
} as const;

/** The text of `docs/terraform-inputs.md`: the variables of every root. They are read as `terraform fmt` writes them, which a test checks. */
export function terraformInputsPage(): string {
  const sections = Object.entries(roots).map(([root, says]) => {
    const source = readFileSync(new URL(`../terraform/${root}/variables.tf`, import.meta.url), 'utf8');
    const rows = [...source.matchAll(/^variable "(\w+)" \{\n(.*?)^\}/gms)].flatMap(([, name = '', body = '']) => rowsOf(name, body));
    return `## terraform/${root}: ${says}\n\n| variable | type | default | what |\n|---|---|---|---|\n${rows.join('\n')}`;
  });
  return `${intro}\n\n${sections.join('\n\n')}\n`;
}

const intro = `# Inputs of Terraform

<!-- Generated from terraform/*/variables.tf by \`npm run docs\`: do not edit. -->

Each value is checked before any call to AWS, and refused with what to write instead. A field without a default must be given where its variable is.
A misspelt field of an object is dropped by Terraform without a word, and of a misspelt variable it only warns: see in the plan that what you gave is there.
How the roots belong together: [Terraform](terraform.md).`;

function rowsOf(name: string, body: string): readonly string[] {
  const [, description = ''] = /^ {2}description += "(.*)"$/m.exec(body) ?? [];
  const [, type = ''] = /^ {2}type += (.*?)\n {2}\w/ms.exec(body) ?? [];
  const [, fallback] = /^ {2}default += (.*?)\n(?=\n| {2}\w|$)/ms.exec(body) ?? [];
  const fields = [...type.matchAll(/^ {4,}(\w+) += (.*?),?$/gm)].map(([, field = '', text = '']) => {
    const [, inner = text, value] = /^optional\((.*?)(?:, (.*))?\)$/.exec(text) ?? [];
    const given = text.startsWith('optional') ? (value ?? 'none') : '';
    return `| \`${name}.${field}\` | ${cell(inner)} | ${cell(given)} | |`;
  });
  const kind = /^(\w+\()*object/.exec(type)?.[0].replaceAll('(', ' of ') ?? type;
  return [`| \`${name}\` | ${cell(kind)} | ${cell(fallback ?? '')} | ${description.replaceAll('\\"', '"').replaceAll('|', '\\|')} |`, ...fields];
}

const cell = (text: string): string => (text === '' ? '' : `\`${text.replace(/\s+/g, ' ').replaceAll('|', '\\|')}\``);
