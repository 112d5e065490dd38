"""An HTTP proxy as a branch office has one: CONNECT only, and only to the servers it knows by name.

What it knows it resolves itself, so a kiosk that is told such a name gets nowhere without the proxy.
"""

import asyncio
import threading

MOST_TUNNELS = 32
HEAD_BYTES = 4096
HEAD_SECONDS = 5
CHUNK = 16384


class Proxy:
    """Forwards until `close`; `ways` is `"host:port"` → `(address, port)`."""

    def __init__(self, ways):
        self.ways = ways
        self.asked = []
        self.open = 0
        self.tasks = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_BYTES))
        self.port = self.server.sockets[0].getsockname()[1]

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self._run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    def report(self):
        return f"the proxy was asked for {self.asked[-20:]}, {self.open} tunnels are open"

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def _stop(self):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        self.open += 1
        try:
            await self._tunnel(reader, writer)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError, asyncio.CancelledError):
            pass  # either end is gone, or sent what is no request
        finally:
            self.tasks.discard(task)
            self.open -= 1
            writer.close()

    async def _tunnel(self, reader, writer):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        self.asked.append(f"{method} {target}")
        way = self.ways.get(target)
        refusal = b"405 CONNECT only" if method != "CONNECT" else b"403 Unknown here" if not way else b"503 Full" if self.open > MOST_TUNNELS else None
        if refusal:
            writer.write(b"HTTP/1.1 " + refusal + b"\r\ncontent-length: 0\r\n\r\n")
            return await writer.drain()
        far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(*way), HEAD_SECONDS)
        try:
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        finally:
            far_writer.close()


async def pump(reader, writer):
    """One direction, until its end, which is passed on."""
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()
