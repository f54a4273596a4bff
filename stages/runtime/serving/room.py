"""How much memory the long requests of a worker take: few are at work at once, none while clients do not read.

Records and answers of 10,000 rows take some 10 MB while they are at work, and their reply some MB until its client has
read all of it. 120 clients that asked so and did not read made a worker grow from 46 to 969 MB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .replies import Refused
from .settings import Limits

TURN_BYTES = 50_000  # a longer request waits for its turn
TURNS = 4  # at work at once; all share one thread
FEW_ROWS = 8  # have always room
LARGE_BYTES = 65_536  # of a reply: smaller ones are bounded by the number of connections
T = TypeVar("T")


class Room:
    """What long requests of one worker share. `unread` has the bytes of large replies by the transport they are on."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.unread: dict[asyncio.Transport, int] = {}
        self._turns = asyncio.Semaphore(TURNS)

    def wrote(self, transport: asyncio.Transport, n_bytes: int) -> None:
        """Note a reply; it is kept whole until its last byte is sent."""
        if n_bytes > LARGE_BYTES:
            self.unread[transport] = self.unread.get(transport, 0) + n_bytes

    def left(self, transport: asyncio.Transport) -> None:
        """Forget a client that is gone."""
        self.unread.pop(transport, None)

    def ensure(self, n_rows: int) -> None:
        """Raise Refused for more than a few rows where clients have not read what was answered before."""
        if n_rows <= FEW_ROWS:
            return
        for transport in [each for each in self.unread if not each.get_write_buffer_size()]:
            del self.unread[transport]
        if sum(self.unread.values()) > self.limits.unread_bytes:
            raise Refused("busy")

    async def in_turn(self, found: Coroutine[Any, Any, T], n_bytes: int) -> T:
        """Return the answer to a request of so many bytes, a long one in its turn; Refused if that never comes."""
        if n_bytes <= TURN_BYTES:
            return await found
        try:
            async with asyncio.timeout(self.limits.seconds):
                await self._turns.acquire()
        except TimeoutError:
            found.close()
            raise Refused("busy") from None
        except asyncio.CancelledError:  # the client is gone
            found.close()
            raise
        try:
            return await found
        finally:
            self._turns.release()
