"""JSON on stdout: one line a request, and everything else that logs."""

import json
import logging
import re
import sys
import time
import uuid
from datetime import datetime, timezone

from flask import Flask, g, has_request_context, request

SAFE_ID = re.compile(r'[\w.:;=-]{1,128}', re.ASCII)


class JsonLines(logging.Formatter):
    """One JSON object a line; `release` and `instance` on each, so that the lines of a fleet can be told apart."""

    def __init__(self, release: dict[str, str | None]):
        super().__init__()
        self.constant = {name: release[name] for name in ('release', 'instance')}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            'time': datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec='milliseconds'),
            'level': record.levelname.lower(),
            'logger': record.name,
            'message': record.getMessage(),
            **self.constant,
        }
        if has_request_context() and 'request_id' in g:
            line['requestId'] = g.request_id
        line.update(getattr(record, 'fields', {}))
        if record.exc_info:
            line['error'] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def install(app: Flask, release: dict[str, str | None]) -> None:
    """Sends the root logger to stdout as JSON and logs each request of `app` when its response is ready."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(release))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # The development server has lines of its own for people; kept off stdout, they cannot be taken for these.
    logging.getLogger('werkzeug').propagate = False

    @app.before_request
    def start():
        g.started = time.perf_counter()
        # The load balancer's trace id, so that its access log and these lines meet; anything else that a client sends is not taken.
        trace = request.headers.get('X-Amzn-Trace-Id', '')
        g.request_id = trace if SAFE_ID.fullmatch(trace) else uuid.uuid4().hex

    @app.after_request
    def finish(response):
        response.headers['X-Request-Id'] = g.request_id
        # A health check every few seconds from every prober would bury the rest; one that fails is worth its line.
        if request.path != '/healthz' or response.status_code != 200:
            # The path without its query string: that is where people put tokens.
            fields = {'method': request.method, 'path': request.path, 'status': response.status_code, 'ms': round((time.perf_counter() - g.started) * 1000, 1)}
            app.logger.info('request', extra={'fields': fields})
        return response
