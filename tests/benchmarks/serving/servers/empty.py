"""An ASGI app that reads the request and says {}: what the server costs by itself. uvicorn empty:app"""

from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer any HTTP request once its body is whole."""
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})
