"""How gunicorn serves the receiver: ``gunicorn -c python:crm_sync.receiver.gunicorn_conf``.

A delivery is one short transaction, so threads do; two processes, so that one that hangs or restarts is not all.
"""

from __future__ import annotations

from typing import Any

from gunicorn import glogging

from crm_sync.config import load
from crm_sync.telemetry import logging as telemetry_logging, metrics

_config = load()


class Logger(glogging.Logger):  # type: ignore[misc]  # ships no types
    """Hands everything to the root logger, where the rest of the service logs too."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn, also after a reload."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True
        telemetry_logging.configure(_config)


logger_class = Logger
bind = _config.bind
worker_class = "gthread"
workers = 2
threads = 8
#: Chatwoot gives a webhook five seconds; what takes longer than this hangs.
timeout = 30
graceful_timeout = 10
keepalive = 5
#: Metrics count the requests, the reverse proxy lists them.
accesslog = None
#: Nobody is meant to steer it from outside.
control_socket_disable = True


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn passes them by name
    """Close the books of a worker process that ended."""
    metrics.forget_process(worker.pid)
