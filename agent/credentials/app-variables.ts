/** Where the app finds the credentials of its role. */
export type Vended = { readonly region: string; readonly port: number; readonly tokenFile: string };

/** The path of the address that the app's SDK asks. */
export const credentialsPath = '/credentials';

/**
 * The variables by which the AWS SDKs find what the app may use, before those of `config`, which win. With `vended` undefined there is nothing to find.
 * Sources: AWS SDKs and Tools Reference Guide, "Container credential provider" and "IMDS credential provider".
 */
export function appVariables(vended: Vended | undefined, configNames: readonly string[]): readonly (readonly [name: string, value: string])[] {
  // The metadata service is closed to the app: asking it would only cost a second or more before the SDK says that there are no credentials.
  const none = ['AWS_EC2_METADATA_DISABLED', 'true'] as const;
  if (vended === undefined) return [none];
  const { region, port, tokenFile } = vended;
  // boto3 reads the one, the other SDKs the other. An app that sets either means it for both.
  const regionNames = ['AWS_REGION', 'AWS_DEFAULT_REGION'];
  const isRegionGiven = regionNames.some((name) => configNames.includes(name));
  return [
    none,
    ['AWS_CONTAINER_CREDENTIALS_FULL_URI', `http://127.0.0.1:${port}${credentialsPath}`],
    ['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', tokenFile],
    ...(isRegionGiven ? [] : regionNames.map((name) => [name, region] as const)),
  ];
}
