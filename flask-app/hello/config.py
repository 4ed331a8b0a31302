"""What the app reads from its environment, all of it, once, at start."""

from collections.abc import Mapping

REQUIRED = ('GREETING', 'SECRET_KEY')
"""Names the app cannot start without; `config` in `[tool.pinion]` of pyproject.toml lists the same."""


class ConfigMissing(RuntimeError):
    """Says which names have no value; never holds a value."""


def read_config(environ: Mapping[str, str]) -> dict[str, str]:
    """The value of every required name. Raises ConfigMissing with all the names that are not set or empty, not just the first."""
    missing = [name for name in REQUIRED if not environ.get(name)]
    if missing:
        raise ConfigMissing(f'not set in the environment: {", ".join(missing)}')
    return {name: environ[name] for name in REQUIRED}


def read_release(environ: Mapping[str, str]) -> dict[str, str | None]:
    """What pinion says about the running release; None where the app runs without pinion."""
    return {name: environ.get(f'PINION_{name.upper()}') for name in ('release', 'commit', 'env', 'instance')}
