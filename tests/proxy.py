"""A proxy before a PostgreSQL server: slow, frozen or away, as a test says."""

import asyncio
import contextlib
import threading
import time
from pathlib import Path

import psycopg


class Proxy:
    """Listens on a socket in ``folder``; ``round_trip`` in seconds."""

    def __init__(self, folder: Path, url: str, round_trip: float = 0.0) -> None:
        with psycopg.connect(url) as connection:
            info = connection.info
            self._target = f"{info.host}/.s.PGSQL.{info.port}"
            self.url = f"postgresql://{info.user}@/{info.dbname}?host={folder}&port=5432"
        self._half = round_trip / 2
        self._away = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._frozen: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        path = folder / ".s.PGSQL.5432"
        starting = asyncio.start_unix_server(self._serve, str(path))
        self._server = self._loop.run_until_complete(starting)
        path.chmod(0o777)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._away:
            writer.close()
            return
        there, back = await asyncio.open_unix_connection(self._target)
        self._writers |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pending: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def read() -> None:
            data = b"!"
            while data:
                with contextlib.suppress(OSError):
                    data = b""
                    data = await reader.read(65536)
                pending.put_nowait((self._loop.time() + self._half, data))

        reading = asyncio.ensure_future(read())
        with contextlib.suppress(OSError):
            while True:
                at, data = await pending.get()
                await asyncio.sleep(max(0.0, at - self._loop.time()))
                if not data:
                    break
                if writer not in self._frozen:
                    writer.write(data)
                    await writer.drain()
        reading.cancel()
        writer.close()
        self._writers.discard(writer)

    def freeze(self) -> None:
        """Of the connections that there are, take everything, and hand on nothing any more."""
        self._frozen = set(self._writers)

    def away(self, seconds: float) -> None:
        """Close every connection, and take none for so long."""

        def leave() -> None:
            self._away = True
            for writer in list(self._writers):
                writer.close()

        self._loop.call_soon_threadsafe(leave)
        time.sleep(seconds)
        self._away = False

    def close(self) -> None:
        """Let go of everything."""

        async def end() -> None:
            self._server.close()
            for writer in list(self._writers):
                writer.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
