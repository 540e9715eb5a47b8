"""`LOG_FORMAT=json`: one object a line, with the request's id, and the reference in each line about a purchase."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from pythonjsonlogger.core import RESERVED_ATTRS

request_id: ContextVar[str] = ContextVar("request_id", default="")

# What Django hangs onto its records and no line should hold: a request has cookies, tokens and forms in it.
_LEFT_OUT = ("request", "server_time", "taskName")


class AddRequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if current := request_id.get():
            record.request_id = current
        return True


def configuration(form: str, level: str) -> dict[str, Any]:
    """For `settings.LOGGING`; `form` is `line` or `json`."""
    if form not in ("line", "json"):
        raise ImproperlyConfigured(f"LOG_FORMAT is line or json, not {form}.")
    json_lines = {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "fmt": ["levelname", "name", "message"],
        "rename_fields": {"levelname": "level", "name": "logger", "exc_info": "traceback"},
        "reserved_attrs": [*RESERVED_ATTRS, *_LEFT_OUT],
        "timestamp": "time",
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": "app.logs.AddRequestId"},
            "without_values": {"()": "ai_features.discretion.WithoutValues"},
        },
        "formatters": {
            "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
            "json": json_lines,
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": form,
                "filters": ["request_id", "without_values"],
            },
        },
        "root": {"handlers": ["console"], "level": level},
        # One line for each request to Paystack is ours to write; the client's own would repeat it, at DEBUG with its
        # headers. Each statement of the database, with its parameters, is nobody's business either.
        "loggers": {
            "httpx2": {"level": "WARNING"},
            "httpcore2": {"level": "WARNING"},
            "django.db.backends": {"level": "INFO"},
        },
    }
