"""A job's log as it is followed: whole and once, however the connection breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from tests.ports import free_port
from tuner.errors import UserError
from tuner.jobs import api
from tuner.jobs.connection import Head

OWN = "".join(f"trial {n:03d} completed\n" for n in range(40))
LOG = f"INFO pip.py: installing\n{api.ENTRY}tuner-1: exec python -m tuner\n{OWN}"


def followed(serve: Callable[[web.Request, int], Awaitable[Any]], ends_after: int) -> str:
    """Return the pieces of a log whose n-th request `serve` answers; the job ends after so many."""
    asked = 0

    async def tail(request: web.Request) -> Any:
        nonlocal asked
        asked += 1
        return await serve(request, asked)

    async def info(request: web.Request) -> web.Response:
        status = "SUCCEEDED" if asked >= ends_after else "RUNNING"
        return web.json_response({"submission_id": "1", "status": status})

    async def main() -> str:
        app = web.Application()
        app.add_routes([web.get("/api/jobs/1/logs/tail", tail), web.get("/api/jobs/1", info)])
        runner = web.AppRunner(app)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            pieces = [piece async for piece in api.log(Head(f"http://127.0.0.1:{port}"), "1")]
            return "".join(pieces)
        finally:
            await runner.cleanup()

    return asyncio.run(main())


@pytest.mark.parametrize("cut", [10, 60, 300, len(LOG)])
def test_a_connection_that_breaks(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head begins anew each time, in other pieces; nothing is lost, nothing comes twice."""
    monkeypatch.setattr(api, "AGAIN_AFTER", 0.01)

    async def serve(request: web.Request, number: int) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        until, size = (cut, 7) if number == 1 else (len(LOG), 50)
        for start in range(0, until, size):
            await socket.send_str(LOG[start : min(start + size, until)])
        if number == 1:
            assert request.transport is not None
            request.transport.abort()
        return socket

    assert followed(serve, ends_after=1) == OWN, "of a job that has ended in the meantime"


def test_a_head_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "AGAIN_AFTER", 0.01)
    monkeypatch.setattr(api, "PATIENCE", 0.1)

    async def serve(request: web.Request, number: int) -> web.Response:
        return web.Response(status=502, text="Bad Gateway")

    with pytest.raises(UserError, match="502"):
        followed(serve, ends_after=1_000)
