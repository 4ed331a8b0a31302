import t from 'tap';
import { firstProblem } from '../../contract/document.ts';
import { userDataSchema } from '../../contract/user-data.ts';

t.test('names the path of the first problem, never the value', async (t) => {
  t.equal(firstProblem(userDataSchema, { schemaVersion: 1 })?.path, '/');
  t.same(firstProblem({ type: 'object', additionalProperties: false }, { s3cret: 'hunter2' }), { path: '/s3cret', problem: 'is not a field of this document' });
});
