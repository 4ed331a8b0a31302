import { limitRows } from '../agent/limits.ts';
import { agentVariables } from '../agent/settings.ts';

/** The text of `docs/settings.md`: what can be set on the agent. */
export const settingsPage = (): string =>
  `${[intro, table(['variable', 'without it', 'what it is'], variables), limitsIntro, table(['limit', 'value', 'what it bounds'], limits), outro].join('\n\n')}\n`;

const intro = `# Settings of the agent

<!-- Generated from agent/settings.ts and agent/limits.ts by \`npm run docs\`: do not edit. -->

On a host nothing needs to be set: systemd gives the folders, the ports are constants of the image, the rest comes with the user data.
Laptops and tests set these environment variables. What an *app* sets stands in its [\`[tool.pinion]\`](app-contract.md); what \`npm start\` takes, in [the local cloud](local-cloud.md).

\`pinion-agent run --user-data FILE\` takes the user data from a file: then Region and credentials come from the environment and the instance is called \`local\`.`;

const limitsIntro = `The AWS SDK's own variables hold for endpoints: \`AWS_ENDPOINT_URL\`, \`AWS_ENDPOINT_URL_SSM\`, \`AWS_ENDPOINT_URL_S3\`, \`AWS_ENDPOINT_URL_CLOUDWATCH\`, \`AWS_ENDPOINT_URL_STS\`, \`AWS_ENDPOINT_URL_AUTO_SCALING\`,
\`AWS_EC2_METADATA_SERVICE_ENDPOINT\`. \`NOTIFY_SOCKET\` and \`WATCHDOG_USEC\` are systemd's (sd_notify(3)).

## Limits

Every time, size and count that bounds the agent. Names that end in \`Ms\` are milliseconds.`;

const outro = `The times that infrastructure and agent must agree on are not here but in the [user data](documents.md#user-data): boot budget, health check interval, deregistration delay
and the others are written by whoever owns the infrastructure.`;

const variables = Object.entries(agentVariables).map(([name, [fallback, says]]) => [`\`${name}\``, fallback === '' ? '' : `\`${fallback}\``, says]);
const limits = Object.entries(limitRows).map(([name, [value, says]]) => [`\`${name}\``, value.toLocaleString('en'), says]);

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
