"""The least that uvicorn and Starlette answer: what any service in one process of theirs is measured by."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def answer(request: Request) -> Response:
    return Response(b'{"status":true,"message":"Verification successful"}', media_type="application/json")


app = Starlette(routes=[Route("/transaction/verify/{reference}", answer)])
