"""JSON bodies without ambiguity: said to be JSON, and each key once.

Of a key that is there twice, nobody can tell which value was meant. And a form, which `curl -d` and a browser
on a foreign page send unasked, is never taken for JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from reconciler.model.json import once_each


class StrictRoute(APIRoute):
    """A route whose body has to be JSON, by its own word, and may have each key once."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's own handler, with a request that reads JSON so."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def strict(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise HTTPException(415, "Send JSON, with the header `Content-Type: application/json`.")
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


class _StrictRequest(Request):
    async def json(self) -> Any:  # noqa: ANN401 - JSON
        try:
            return json.loads(await self.body(), object_pairs_hook=once_each)
        except json.JSONDecodeError:
            raise  # which FastAPI tells of
        except ValueError as error:
            raise HTTPException(400, f"The body is ambiguous: {error}.") from error
        except RecursionError as error:
            raise HTTPException(400, "The body is nested too deep.") from error
