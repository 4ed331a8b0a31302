import { type Schema, Validator } from '@cfworker/json-schema';

export type Problem = { readonly path: string; readonly problem: string };

const validators = new WeakMap<object, Validator>();

/**
 * The first thing wrong with `value` under a JSON Schema (2020-12), or undefined when it fits.
 * `path` is a JSON pointer (`/` for the document itself); `problem` quotes the schema, never the value.
 */
export function firstProblem(schema: object, value: unknown): Problem | undefined {
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = new Validator(schema as Schema, '2020-12');
    validators.set(schema, validator);
  }
  // The list goes from the document down to the innermost violation.
  const innermost = validator.validate(value).errors.at(-1);
  if (innermost === undefined) return undefined;
  const problem = innermost.keyword === 'false' ? 'is not a field of this document' : innermost.error;
  return { path: innermost.instanceLocation.replace(/^#/, '') || '/', problem: problem.replace(/^Instance /, '').replace(/\.$/, '') };
}
