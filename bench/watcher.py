"""Watches pages for bench/page.py: as streams, or by loading them again each second."""

import asyncio
import os
import sys

import httpx2


async def stream(client: httpx2.AsyncClient, path: str) -> None:
    headers = {"Accept": "text/event-stream"}
    async with client.stream("GET", path, headers=headers, timeout=None) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer
        async for _ in answer.aiter_bytes():
            pass


async def load(client: httpx2.AsyncClient, path: str) -> None:
    while True:
        (await client.get(path, timeout=60)).raise_for_status()
        await asyncio.sleep(1)


async def main() -> None:
    how, address, *paths = sys.argv[1:]
    headers = {"Cookie": os.environ["COOKIE"]}
    async with httpx2.AsyncClient(base_url=address, headers=headers) as client:
        one = stream if how == "stream" else load
        await asyncio.gather(*(one(client, path) for path in paths))


if __name__ == "__main__":
    asyncio.run(main())
