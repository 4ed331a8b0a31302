import t from 'tap';
import { appVariables } from '../../../agent/credentials/app-variables.ts';
import { boto3 } from '../../support/boto3.ts';

const vended = { region: 'eu-west-1', port: 8082, tokenFile: '/run/pinion-app/aws-token' };

t.test('with a role the SDKs find address, token file and Region', async (t) => {
  t.same(Object.fromEntries(appVariables(vended, [])), {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:8082/credentials',
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '/run/pinion-app/aws-token',
    AWS_REGION: 'eu-west-1',
    AWS_DEFAULT_REGION: 'eu-west-1',
  });
});

t.test('a Region of the config is the only one', async (t) => {
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION']) {
    const names = appVariables(vended, ['OTHER', name]).map(([variable]) => variable);
    t.same(names, ['AWS_EC2_METADATA_DISABLED', 'AWS_CONTAINER_CREDENTIALS_FULL_URI', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'], name);
  }
});

t.test('without a role boto3 says at once that there are no credentials, instead of asking the metadata service', async (t) => {
  const variables = Object.fromEntries(appVariables(undefined, []));
  t.same(variables, { AWS_EC2_METADATA_DISABLED: 'true' });
  // A metadata service that is closed to the app as a firewall closes it: no answer at all.
  const closed = { ...variables, AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://192.0.2.1/', AWS_DEFAULT_REGION: 'eu-west-1' };
  const { error, ms } = await boto3(closed, 'client("ssm").get_parameter(Name="x")');
  t.match(error, /^NoCredentialsError: /);
  t.ok(ms < 1_000, `${ms} ms`);
});
