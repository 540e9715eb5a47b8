"""Task backends as they are on a bad day, and a worker for the one of the tests."""

from typing import Any

from django_tasks import default_task_backend
from django_tasks.backends.dummy import DummyBackend


class QueueIsAway(DummyBackend):
    def enqueue(self, *_: Any, **__: Any) -> Any:
        raise ConnectionError


def send_what_is_queued() -> None:
    for result in list(default_task_backend.results):
        result.task.call(*result.args)
