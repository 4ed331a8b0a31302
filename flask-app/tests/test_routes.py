from html.parser import HTMLParser

import pytest

from hello import create_app

VOID = {'meta', 'link', 'br', 'img', 'hr', 'input'}


class Outline(HTMLParser):
    """The text of a page, and a complaint about the first tag that closes out of order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.outside, self.text = [], [], [], ''

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.outside += [value for name, value in attrs if name in ('href', 'src') and not value.startswith(('/', 'data:'))]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f'</{tag}> closes <{self.open[-1:]}>'
        self.open.pop()

    def handle_data(self, data):
        if 'style' not in self.open:
            self.text += data + '\n'


def outline(response):
    parser = Outline()
    parser.feed(response.text)
    parser.close()
    assert parser.open == []
    return parser


def test_page_shows_release_commit_env_instance_and_names_of_config(client):
    response = client.get('/')
    assert response.status_code == 200
    assert response.mimetype == 'text/html'
    text = outline(response).text
    for shown in ('Good morning', '7', '4f2c0de', 'test', 'i-0abc', 'GREETING', 'SECRET_KEY'):
        assert shown in text.splitlines()


def test_page_loads_nothing_from_elsewhere_and_runs_no_script(client):
    response = client.get('/')
    page = outline(response)
    assert page.outside == []
    assert 'script' not in [tag for tag, _ in page.tags]
    assert "default-src 'none'" in response.headers['Content-Security-Policy']


def test_page_has_a_language_a_title_one_h1_and_labels_that_exist(client):
    tags = outline(client.get('/')).tags
    names = [tag for tag, _ in tags]
    assert ('html', {'lang': 'en'}) in tags
    assert names.count('title') == names.count('h1') == names.count('main') == 1
    ids = {attributes['id'] for _, attributes in tags if 'id' in attributes}
    assert {attributes['aria-labelledby'] for _, attributes in tags if 'aria-labelledby' in attributes} <= ids


@pytest.mark.parametrize('name', ['GREETING', 'PINION_COMMIT', 'PINION_ENV', 'PINION_INSTANCE', 'PINION_RELEASE'])
def test_page_escapes_html(environ, name):
    response = create_app({**environ, name: '<script>"&\''}).test_client().get('/')
    assert '<script' not in response.text
    assert '&lt;script&gt;&#34;&amp;&#39;' in response.text


def test_page_counts_the_visits_of_a_browser(client):
    assert 'Your first visit' in client.get('/').text
    assert 'Visit 2 ' in client.get('/').text


def test_another_instance_with_the_same_key_goes_on_counting_and_one_with_another_key_starts_anew(app, environ):
    cookie = app.test_client().get('/').headers['Set-Cookie']
    headers = {'Cookie': cookie.partition(';')[0]}
    same = create_app({**environ, 'PINION_INSTANCE': 'i-0def'}).test_client(use_cookies=False)
    other = create_app({**environ, 'SECRET_KEY': 'another'}).test_client(use_cookies=False)
    assert 'Visit 2 ' in same.get('/', headers=headers).text
    assert 'Your first visit' in other.get('/', headers=headers).text


def test_api_release(client):
    response = client.get('/api/release')
    assert response.json == {'release': '7', 'commit': '4f2c0de', 'env': 'test', 'instance': 'i-0abc'}


def test_healthz(client):
    response = client.get('/healthz')
    assert (response.status_code, response.text, response.mimetype) == (200, 'ok\n', 'text/plain')


@pytest.mark.parametrize(('method', 'path', 'status'), [('GET', '/', 200), ('GET', '/healthz', 200), ('GET', '/missing', 404), ('POST', '/', 405)])
def test_every_response_carries_the_release(client, method, path, status):
    response = client.open(path, method=method)
    assert response.status_code == status
    assert response.headers['X-Pinion-Release'] == '7'
    assert response.headers['Cache-Control'] == 'no-store'


def test_an_internal_error_carries_the_release_too(app):
    app.add_url_rule('/broken', view_func=lambda: 1 / 0)
    response = app.test_client().get('/broken')
    assert response.status_code == 500
    assert response.headers['X-Pinion-Release'] == '7'


def test_runs_without_pinion(environ):
    client = create_app({name: environ[name] for name in ('GREETING', 'SECRET_KEY')}).test_client()
    response = client.get('/')
    assert response.status_code == 200
    assert outline(response).text.count('none: started without pinion') == 4
    assert 'X-Pinion-Release' not in response.headers
    assert client.get('/api/release').json == {'release': None, 'commit': None, 'env': None, 'instance': None}


def test_no_response_holds_the_secret(client, environ):
    for path in ('/', '/api/release', '/healthz', '/missing'):
        response = client.get(path)
        assert environ['SECRET_KEY'] not in response.text + str(response.headers)
