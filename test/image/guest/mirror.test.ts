import t from 'tap';
import { mirrorIn } from './mirror.ts';

const fallback = 'http://deb.debian.org/debian';
const deb822 = (address: string, more = '') => `Types: deb\n# URIs: http://old.test/debian\nURIs: ${address}\nSuites: trixie\n${more}`;

t.test('the mirror is the one that the machine itself installs Debian from', async (t) => {
  t.equal(mirrorIn([deb822('http://mirror.test/debian')]), 'http://mirror.test/debian');
  t.equal(
    mirrorIn([`# deb http://old.test/debian trixie main\ndeb [arch=amd64] https://mirror.test/pub/debian/ trixie main`]),
    'https://mirror.test/pub/debian/',
  );
  const security = deb822('http://mirror.test/debian-security');
  t.equal(mirrorIn([`${security}\n${deb822('http://mirror.test/debian')}`]), 'http://mirror.test/debian', 'not the one of security updates');
  t.equal(mirrorIn([deb822('http://off.test/debian', 'Enabled: no\n'), deb822('http://on.test/debian')]), 'http://on.test/debian');
});

t.test('a machine that names none takes the one that Debian names', async (t) => {
  for (const text of [
    '',
    deb822('http://archive.test/ubuntu'),
    deb822('mirror+file:/etc/apt/mirrors/debian.list'),
    'deb-src http://mirror.test/debian trixie main',
  ]) {
    t.equal(mirrorIn([text]), fallback, JSON.stringify(text));
  }
});
