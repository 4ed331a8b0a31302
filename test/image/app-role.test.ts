import './guest/enter-lab.ts';
import t from 'tap';
import { openLab } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';
import { agentUnit, bootShop, mainPid, release } from './shop.ts';

/** What an SDK does with the two variables (AWS SDKs and Tools Reference Guide: container credential provider); no SDK is in this app. */
const askAsSdk = `python3 -c '
import json, os, urllib.request as u
token = open(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read()
r = u.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": token})
print(json.dumps(sorted(json.load(u.urlopen(r, timeout=5)))))' 2>&1 | tail -1`;

if (needsGuest(t)) {
  const lab = await openLab(t);
  const released = await release(t, lab);

  t.test('the app gets the credentials of its role on loopback, also from the agent after a killed one; nobody else does', async (t) => {
    const userData = { ...released.userData, appRoleArn: 'arn:aws:iam::123456789012:role/shop-app' };
    const { guest, asApp, untilReady } = await bootShop(t, lab, released, { userData });
    await untilReady();
    const expected = ['AccessKeyId', 'Expiration', 'RoleArn', 'SecretAccessKey', 'Token'];
    const fields = async () => JSON.parse((await asApp(askAsSdk)).said);
    t.match(await fields(), expected);
    const token = '/run/pinion-app/aws-token';
    t.equal(await guest.ask(['stat', '--format=%a %U %G', token]), '640 pinion pinion-app');
    const { said } = await asApp('echo $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE $AWS_EC2_METADATA_DISABLED');
    t.equal(said.trim(), `${token} true`);
    t.not((await guest.exec(['cat', token], { user: 'nobody' })).end, 0, 'another user reads no token');
    const url = (await asApp('echo $AWS_CONTAINER_CREDENTIALS_FULL_URI')).said.trim();
    t.equal((await guest.exec(['curl', '--silent', '--output', '/dev/null', '--write-out', '%{http_code}', url], { user: 'nobody' })).stdout, '401');

    const agent = await mainPid(guest, agentUnit);
    await guest.ask(['kill', '-KILL', String(agent)]);
    await guest.untilLogged(agentUnit, ({ message }) => message.includes('"app-adopted"'));
    t.match(await fields(), expected, 'the same token and port');
  });
}
