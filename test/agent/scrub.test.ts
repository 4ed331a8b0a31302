import t from 'tap';
import { createScrub } from '../../agent/scrub.ts';

t.test('values become their names, the longest first; short ones and other text stay', async (t) => {
  const scrub = createScrub(
    new Map([
      ['KEY', 's3cret'],
      ['URL', 'postgres://u:s3cret@db'],
      ['MODE', 'on'],
    ]),
  );
  t.equal(scrub('at postgres://u:s3cret@db with s3cret, s3cret is on'), 'at [URL] with [KEY], [KEY] is on');
});

t.test('a value of several lines is found line by line, as output is read', async (t) => {
  const scrub = createScrub(new Map([['PEM', '-----BEGIN KEY-----\nMIIEvQIBADAN\r\n-----END KEY-----']]));
  t.equal(scrub('read MIIEvQIBADAN'), 'read [PEM]');
  t.equal(scrub('-----BEGIN KEY-----'), '[PEM]');
});

t.test('arguments of gunicorn are found one by one, as it quotes them', async (t) => {
  const scrub = createScrub(new Map([['GUNICORN_CMD_ARGS', '--nosuch=s3cr3t-hunter2  --workers hunter3hunter3']]));
  t.notMatch(scrub("unrecognized arguments: --nosuch=s3cr3t-hunter2 --workers: invalid int value: 'hunter3hunter3'"), /hunter/);
});
