import os
import subprocess
import sys
from pathlib import Path

import pytest

from hello import create_app
from hello.config import REQUIRED, ConfigMissing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it there

APP_DIR = Path(__file__).parent.parent


def test_every_missing_or_empty_name_is_named_and_no_value_is(environ):
    with pytest.raises(ConfigMissing, match='^not set in the environment: GREETING, SECRET_KEY$'):
        create_app({'GREETING': ''})
    del environ['GREETING']
    with pytest.raises(ConfigMissing, match='^not set in the environment: GREETING$'):
        create_app(environ)


def test_pyproject_asks_pinion_for_exactly_the_required_names():
    settings = tomllib.loads((APP_DIR / 'pyproject.toml').read_text())['tool']['pinion']
    assert sorted(settings['config']) == sorted(REQUIRED)
    assert set(settings['local']['config']) <= set(REQUIRED)


def check_config(environ):
    """gunicorn loads the app by the entry point that pyproject.toml names, and ends."""
    settings = tomllib.loads((APP_DIR / 'pyproject.toml').read_text())['tool']['pinion']
    return subprocess.run(
        [sys.executable, '-m', 'gunicorn', '--check-config', settings['entry-point']],
        cwd=APP_DIR,
        env={'PATH': os.environ['PATH'], **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_gunicorn_loads_the_app(environ):
    done = check_config(environ)
    assert done.returncode == 0, done.stderr


def test_gunicorn_does_not_load_it_without_its_config_and_says_what_is_missing(environ):
    done = check_config({'SECRET_KEY': environ['SECRET_KEY']})
    assert done.returncode != 0
    assert 'ConfigMissing: not set in the environment: GREETING\n' in done.stderr
    assert environ['SECRET_KEY'] not in done.stderr
