/** A build project as Terraform makes it. */
export type Project = { readonly name: string; readonly role: string; readonly buildspec: string; readonly given: readonly string[] };
/** An action of a pipeline; `given` are the variables of the build that it starts, `texts` all that it says. */
export type Action = {
  readonly pipeline: string;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly project: string | undefined;
  readonly given: readonly string[];
  readonly texts: readonly string[];
};

/** Roles, projects, namespaces and variables that are named and do not exist, each in a line. Pure. */
export function dangling(projects: readonly Project[], actions: readonly Action[], roles: readonly string[]): string[] {
  const found: string[] = [];
  for (const { name, role, buildspec, given } of projects) {
    if (!roles.includes(role)) found.push(`${name} takes ${role}, which is no role`);
    const starting = actions.filter(({ project }) => project === name);
    // Each action gives what it gives; a project that is started by hand has its own alone.
    for (const variables of starting.length === 0 ? [[]] : starting.map((action) => action.given)) {
      const known = new Set([...given, ...variables, ...defaultsOf(buildspec), ...assignedIn(buildspec)]);
      for (const used of usedIn(buildspec)) if (!known.has(used)) found.push(`${name} uses $${used}, which nobody gives`);
    }
  }
  for (const { pipeline, name, project, texts } of actions) {
    if (project !== undefined && !projects.some((each) => each.name === project)) found.push(`${pipeline} ${name} starts ${project}, which is no project`);
    for (const [, namespace = '', variable = ''] of texts.flatMap((text) => [...text.matchAll(/#\{([\w-]+)\.(\w+)\}/g)])) {
      const source = actions.find((action) => action.pipeline === pipeline && action.namespace === namespace);
      const spec = projects.find((each) => each.name === source?.project)?.buildspec;
      if (spec === undefined || !exportedBy(spec).includes(variable))
        found.push(`${pipeline} ${name} names #{${namespace}.${variable}}, which nothing exports`);
    }
  }
  return [...new Set(found)];
}

const commandsOf = (buildspec: string): string => buildspec.slice(buildspec.indexOf('\nphases:')).replace(/^ *#.*$/gm, '');
const all = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name = '']) => name);
const exportedBy = (buildspec: string): string[] => all(/exported-variables:\n((?: +- \w+\n)+)/.exec(buildspec)?.[1] ?? '', /- (\w+)/g);
const defaultsOf = (buildspec: string): string[] => all(/^ {2}variables:\n((?: {4}\w+:.*\n)+)/m.exec(buildspec)?.[1] ?? '', /^ {4}(\w+):/gm);
const assignedIn = (buildspec: string): string[] => all(commandsOf(buildspec), /\b([A-Z][A-Z0-9_]*)=/g);
/** What CodeBuild and the shell give is left out. */
const usedIn = (buildspec: string): string[] =>
  all(commandsOf(buildspec), /\$\{?([A-Z][A-Z0-9_]+)/g).filter((name) => !/^(CODEBUILD_|AWS_|PATH$|HOME$)/.test(name));
