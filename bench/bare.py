"""The least that FastAPI needs to give some bytes: `python -m bench.bare FILE PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response

if __name__ == "__main__":
    content = Path(sys.argv[1]).read_bytes()
    app = FastAPI()

    @app.get("/")
    async def page() -> Response:
        return Response(content, media_type="application/json")

    uvicorn.run(app, port=int(sys.argv[2]), log_config=None, access_log=False, server_header=False, ws="none")
