import io
import json
import logging
from contextlib import redirect_stdout

import pytest

from hello import create_app

ENVIRON = {
    'GREETING': 'Good morning',
    'SECRET_KEY': 'a-value-that-nobody-may-see',
    'PINION_RELEASE': '7',
    'PINION_COMMIT': '4f2c0de',
    'PINION_ENV': 'test',
    'PINION_INSTANCE': 'i-0abc',
}


@pytest.fixture
def environ():
    return dict(ENVIRON)


@pytest.fixture
def stdout():
    return io.StringIO()


@pytest.fixture
def app(environ, stdout):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with redirect_stdout(stdout):
        yield create_app(environ)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def log_lines(stdout):
    """What the app has written to stdout, each line parsed: a line that is not JSON fails the test."""
    return lambda: [json.loads(line) for line in stdout.getvalue().splitlines()]
