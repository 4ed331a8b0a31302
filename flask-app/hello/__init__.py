"""A small Flask app that shows what pinion gives an app and what it asks of one."""

import os
from collections.abc import Mapping

from flask import Flask, render_template, session

from . import request_log
from .config import REQUIRED, read_config, read_release


def create_app(environ: Mapping[str, str] = os.environ) -> Flask:
    """The app, configured by `environ` alone. Raises ConfigMissing, naming every required name without a value."""
    config = read_config(environ)
    release = read_release(environ)

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False
    app.config.update(config, SESSION_COOKIE_SAMESITE='Lax')
    request_log.install(app, release)

    @app.get('/')
    def page():
        session['visits'] = session.get('visits', 0) + 1
        return render_template('page.html', greeting=config['GREETING'], names=REQUIRED, visits=session['visits'], **release)

    @app.get('/api/release')
    def api_release():
        return release

    @app.get('/healthz')
    def healthz():
        # No database, no cache, no other service: a shared dependency that fails must not empty the whole fleet.
        return 'ok\n', {'Content-Type': 'text/plain; charset=utf-8'}

    @app.after_request
    def add_headers(response):
        if release['release']:
            response.headers['X-Pinion-Release'] = release['release']
            response.headers['X-Pinion-Instance'] = release['instance'] or ''
        response.headers['Cache-Control'] = 'no-store'
        response.headers['X-Content-Type-Options'] = 'nosniff'
        response.headers['Content-Security-Policy'] = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response

    return app
