import logging
import re
from datetime import datetime


def test_one_json_line_a_request(client, log_lines):
    client.get('/api/release')
    (line,) = log_lines()
    assert datetime.fromisoformat(line.pop('time')).tzinfo
    assert line.pop('ms') >= 0
    assert re.fullmatch('[0-9a-f]{32}', line.pop('requestId'))
    assert line == {
        'level': 'info',
        'logger': 'hello',
        'message': 'request',
        'release': '7',
        'instance': 'i-0abc',
        'method': 'GET',
        'path': '/api/release',
        'status': 200,
    }


def test_each_request_has_an_id_of_its_own_that_its_response_carries(client, log_lines):
    ids = [client.get('/').headers['X-Request-Id'] for _ in range(2)]
    assert ids[0] != ids[1]
    assert [line['requestId'] for line in log_lines()] == ids


def test_the_trace_id_of_the_load_balancer_is_taken(client, log_lines):
    trace = 'Root=1-67891233-abcdef012345678912345678'
    assert client.get('/', headers={'X-Amzn-Trace-Id': trace}).headers['X-Request-Id'] == trace
    assert log_lines()[0]['requestId'] == trace


def test_a_trace_id_that_is_none_is_not_taken(client, log_lines):
    for trace in ('"} forged', 'é', 'x' * 129):
        assert re.fullmatch('[0-9a-f]{32}', client.get('/', headers={'X-Amzn-Trace-Id': trace}).headers['X-Request-Id'])


def test_a_path_cannot_forge_a_line_and_the_query_string_is_left_out(client, log_lines):
    client.get('/a%0A{"level":"forged"}?token=hidden')
    (line,) = log_lines()
    assert line['path'] == '/a\n{"level":"forged"}'
    assert line['status'] == 404
    assert 'hidden' not in str(line)


def test_an_error_is_one_line_with_its_traceback_and_the_id_of_its_request(app, log_lines):
    app.add_url_rule('/broken', view_func=lambda: 1 / 0)
    request_id = app.test_client().get('/broken').headers['X-Request-Id']
    error, request = log_lines()
    assert error['level'] == 'error'
    assert 'ZeroDivisionError' in error['error']
    assert error['requestId'] == request['requestId'] == request_id
    assert request['status'] == 500


def test_a_health_check_is_logged_only_when_it_fails(client, log_lines):
    client.get('/healthz')
    assert log_lines() == []
    client.post('/healthz')
    assert [line['status'] for line in log_lines()] == [405]


def test_other_loggers_are_json_too(app, log_lines):
    logging.getLogger('some.library').warning('disk at %d %%', 91)
    (line,) = log_lines()
    assert (line['level'], line['logger'], line['message'], line['release']) == ('warning', 'some.library', 'disk at 91 %', '7')


def test_no_line_holds_the_secret(client, app, environ, log_lines):
    app.add_url_rule('/broken', view_func=lambda: 1 / 0)
    for path in ('/', '/missing', '/broken'):
        client.get(path)
    assert environ['SECRET_KEY'] not in str(log_lines())
