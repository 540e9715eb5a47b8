"""Finding the route of a request among a hundred: by the first part of the path, then as Starlette does."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send


class Section(BaseRoute):
    """The routes whose paths begin with the same part. The first that fits serves the request, as in any list."""

    def __init__(self, name: str, routes: Iterable[Route]) -> None:
        self.name = name
        self.routes = list(routes)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or first_part(scope["path"]) != self.name:
            return Match.NONE, {}
        partial: tuple[Match, Scope] = (Match.NONE, {})
        for route in self.routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                return match, {**found, "route_of_section": route}
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = match, {**found, "route_of_section": route}
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        route: Route = scope["route_of_section"]
        await route.handle(scope, receive, send)


def first_part(path: str) -> str:
    """`transaction` of /transaction/verify/x."""
    end = path.find("/", 1)
    return path[1:] if end < 0 else path[1:end]


def sections(routes: Iterable[Route]) -> list[Section]:
    """The same routes, put together by the first part of their paths."""
    by_name: dict[str, list[Route]] = {}
    for route in routes:
        by_name.setdefault(first_part(route.path), []).append(route)
    return [Section(name, of_name) for name, of_name in by_name.items()]
