import t from 'tap';
import { firstProblem } from '../../contract/document.ts';
import { composeUserData, infrastructureSchema } from '../../contract/infrastructure.ts';
import type { ReleaseNumber } from '../../contract/names.ts';
import { userDataSchema } from '../../contract/user-data.ts';
import { infrastructure } from '../support/cloud.ts';
import { sha256 } from '../support/pinned.ts';

const compose = (appRoleArn?: string) =>
  composeUserData({ app: 'shop', env: 'test' }, { ...infrastructure, ...(appRoleArn !== undefined && { appRoleArn }) }, 1 as ReleaseNumber, sha256('record'));

t.test('user data carries the role of the app if the infrastructure names one', async (t) => {
  const role = 'arn:aws:iam::123456789012:role/shop-app';
  t.equal(compose(role).appRoleArn, role);
  t.notOk('appRoleArn' in compose());
  for (const userData of [compose(role), compose()]) t.equal(firstProblem(userDataSchema, userData), undefined);
});

t.test('a role of any path and of each partition, and nothing else', async (t) => {
  const problemOf = (appRoleArn: unknown) => firstProblem(infrastructureSchema, { ...infrastructure, appRoleArn })?.path;
  for (const role of [
    'arn:aws:iam::123456789012:role/shop-app',
    'arn:aws-cn:iam::123456789012:role/pinion/shop/app',
    'arn:aws-us-gov:iam::123456789012:role/a+b=c,d.e@f_g-h',
    `arn:aws:iam::123456789012:role/${'p'.repeat(500)}/${'r'.repeat(64)}`,
  ]) {
    t.equal(problemOf(role), undefined, role);
  }
  for (const other of [
    '',
    null,
    'shop-app',
    'arn:aws:iam::123456789012:role/',
    'arn:aws:iam::123456789012:user/shop-app',
    'arn:aws:iam::12345678901:role/shop-app',
    'arn:aws:sts::123456789012:assumed-role/shop-app/session',
    'arn:aws:iam::123456789012:instance-profile/shop-app',
    'arn:aws:iam::123456789012:role/shop app',
    'arn:aws:iam::123456789012:role/shop-app\n',
    ' arn:aws:iam::123456789012:role/shop-app',
    `arn:aws:iam::123456789012:role/${'r'.repeat(65)}`,
  ]) {
    t.equal(problemOf(other), '/appRoleArn', JSON.stringify(other));
  }
});
