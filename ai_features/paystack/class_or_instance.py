from __future__ import annotations

import functools
from collections.abc import Callable
from types import MethodType
from typing import Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar


class Configured(Protocol):
    @classmethod
    def from_settings(cls) -> Self: ...


S = TypeVar("S", bound=Configured)
P = ParamSpec("P")
R = TypeVar("R")


class on_class_or_instance(Generic[S, P, R]):  # noqa: N801 - a decorator, like property
    """A method that may also be called on the class, and then works on `from_settings()`.

    The settings are read at the call, not at the access: looking a method up never fails.
    """

    def __init__(self, method: Callable[Concatenate[S, P], R]) -> None:
        self._method = method
        functools.update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, instance: S | None, owner: type[S]) -> Callable[P, R]:
        if instance is not None:
            return MethodType(self._method, instance)

        @functools.wraps(self._method)
        def with_settings(*args: P.args, **kwargs: P.kwargs) -> R:
            return self._method(owner.from_settings(), *args, **kwargs)

        return with_settings
