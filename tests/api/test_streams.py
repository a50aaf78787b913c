"""Pages that go on: one look for all who watch the same, and when streams end."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from processes import HANG_SECONDS
from rescind import limits
from rescind.api.http import Context, Live, Request, Text
from rescind.api.streams import Streams
from rescind.errors import RequestRefused, StoreUnavailable
from rescind.model import User
from rescind.service.policy import Caller
from rescind.store.protocol import Store
from store import harness
from ui.test_pages import signed_in

EVENTS = {"Accept": "text/event-stream"}


def asked(user_id: int = 2) -> Request:
    user = User(id=user_id, name="ada", permissions=frozenset(), active=True)
    return Request(
        request_id="r",
        method="GET",
        path="/",
        parameters={},
        query={},
        headers={},
        body=b"",
        https=False,
        client="",
        session_id="s",
        caller=Caller(user=user, request_id="r"),
    )


class Shown:
    """What there is to see; counts how often it is looked at, and on which threads."""

    def __init__(self) -> None:
        self.state: Any = 0
        self.looks = 0
        self.looked = threading.Semaphore(0)
        self.refuse: Exception | None = None
        self.threads: set[int] = set()

    def look(self) -> Any:
        self.looks += 1
        self.looked.release()
        self.threads.add(threading.get_ident())
        if self.refuse is not None:
            raise self.refuse
        return self.state

    def live(self, key: str = "key") -> Live:
        return Live(
            key=key,
            look=self.look,
            regions=lambda state: {"rows": f"<b>{state}</b>", "same": "always"},
            page=lambda _: Text(text=""),
        )


async def run(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


async def event(stream: AsyncIterator[bytes]) -> tuple[str, Any]:
    """The next event that says something."""
    while True:
        async with asyncio.timeout(HANG_SECONDS):
            text = (await anext(stream)).decode()
        if text.startswith("event: "):
            name, _, data = text.removeprefix("event: ").strip().partition("\ndata:")
            return name, json.loads(data) if data.strip() else None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_LOOK_SECONDS", 0.01)


def always() -> bool:
    return True


def test_all_who_watch_the_same_share_the_looks_and_hear_what_changes() -> None:
    async def go() -> None:
        streams, shown = Streams(run), Shown()
        watchers = [streams.follow(shown.live(), asked(), always) for _ in range(20)]
        whole = ("regions", {"rows": "<b>0</b>", "same": "always"})
        assert [await event(watcher) for watcher in watchers] == [whole] * 20
        before, shown.state = shown.looks, 1
        changed = ("regions", {"rows": "<b>1</b>"})
        assert [await event(watcher) for watcher in watchers] == [changed] * 20
        assert shown.looks - before <= 20, "not one for each"
        late = streams.follow(shown.live(), asked(), always)
        assert await event(late) == ("regions", {"rows": "<b>1</b>", "same": "always"})
        other = Shown()
        stranger = streams.follow(other.live("another"), asked(), always)
        await event(stranger)
        assert other.looks >= 1
        for watcher in (*watchers, late, stranger):
            await watcher.aclose()  # type: ignore[attr-defined]  # a generator
        await asyncio.sleep(0)
        looks = shown.looks
        await asyncio.sleep(0.1)
        assert shown.looks <= looks + 1, "nobody watches, nobody looks"
        assert threading.get_ident() not in shown.threads

    asyncio.run(go())


def test_a_stream_ends_with_the_right_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_SESSION_SECONDS", 0.02)

    async def go() -> None:
        streams, shown = Streams(run), Shown()
        answers = iter([True, True, False])
        watcher = streams.follow(shown.live(), asked(), lambda: next(answers))
        assert (await event(watcher))[0] == "regions"
        assert await event(watcher) == ("over", None)
        with pytest.raises(StopAsyncIteration):
            await event(watcher)

    asyncio.run(go())


def test_a_stream_says_what_cannot_be_shown_and_outlives_a_store_that_is_away() -> None:
    async def go() -> None:
        streams, shown = Streams(run), Shown()
        shown.refuse = StoreUnavailable("away")
        watcher = streams.follow(shown.live(), asked(), always)
        first = asyncio.ensure_future(event(watcher))
        await asyncio.to_thread(shown.looked.acquire)
        await asyncio.to_thread(shown.looked.acquire)
        shown.refuse = None
        assert (await first)[0] == "regions"
        shown.refuse = RequestRefused("OPERATION_NOT_ALLOWED", "too slow")
        assert await event(watcher) == ("refused", "too slow")
        with pytest.raises(StopAsyncIteration):
            await event(watcher)
        shown.refuse = RuntimeError("a mistake")
        again = streams.follow(shown.live(), asked(), always)
        with pytest.raises(StopAsyncIteration):
            await event(again)

    asyncio.run(go())


def test_who_comes_after_a_watch_has_ended_gets_another() -> None:
    async def go() -> None:
        streams, shown = Streams(run), Shown()
        slow = streams.follow(shown.live(), asked(), always)
        await event(slow)  # and takes nothing more
        shown.refuse = RequestRefused("OPERATION_NOT_ALLOWED", "too slow")
        other = streams.follow(shown.live(), asked(), always)
        while (await event(other))[0] != "refused":
            pass
        shown.refuse = None
        late = streams.follow(shown.live(), asked(), always)
        assert (await event(late))[0] == "regions"
        await slow.aclose()  # type: ignore[attr-defined]  # a generator
        shown.state = 7
        assert await event(late) == ("regions", {"rows": "<b>7</b>"})

    asyncio.run(go())


def test_a_store_that_is_away_ends_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_SESSION_SECONDS", 0.02)
    asked_for: list[bool] = []

    def still() -> bool:
        asked_for.append(True)
        if len(asked_for) < 3:
            raise StoreUnavailable("away")
        return False

    async def go() -> None:
        streams = Streams(run)
        watcher = streams.follow(Shown().live(), asked(), still)
        assert (await event(watcher))[0] == "regions"
        assert await event(watcher) == ("over", None)
        assert len(asked_for) == 3

    asyncio.run(go())


def test_all_streams_end_when_the_process_is_told_to_stop() -> None:
    async def go() -> None:
        streams, shown = Streams(run), Shown()
        watchers = [
            streams.follow(shown.live(key), asked(), always) for key in ("one", "two", "two")
        ]
        for watcher in watchers:
            await event(watcher)
        waiting = [asyncio.ensure_future(event(watcher)) for watcher in watchers]
        await asyncio.sleep(0)
        await asyncio.to_thread(streams.drain)
        for one in waiting:
            with pytest.raises(StopAsyncIteration):
                await one
        with pytest.raises(RequestRefused):
            streams.require_room(asked())

    asyncio.run(go())


def test_streams_are_bounded_for_a_user_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_STREAMS_OF_USER_MAX", 2)
    monkeypatch.setattr(limits, "LIVE_STREAMS_MAX", 3)

    async def go() -> None:
        streams, shown = Streams(run), Shown()

        async def open_one(user_id: int) -> AsyncIterator[bytes]:
            streams.require_room(asked(user_id))
            watcher = streams.follow(shown.live(), asked(user_id), always)
            await event(watcher)
            return watcher

        first = await open_one(2)
        await open_one(2)
        with pytest.raises(RequestRefused, match="You follow 2"):
            streams.require_room(asked(2))
        await open_one(3)
        with pytest.raises(RequestRefused, match="No more"):
            streams.require_room(asked(4))
        await first.aclose()  # type: ignore[attr-defined]  # a generator
        streams.require_room(asked(2))

    asyncio.run(go())


def test_what_takes_long_is_looked_at_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        streams, shown = Streams(run), Shown()
        slept: list[float] = []
        sleep, took = asyncio.sleep, 0.05

        async def count(seconds: float) -> None:
            slept.append(seconds)
            await sleep(0)

        def look() -> int:
            threading.Event().wait(took)
            return len(slept)

        monkeypatch.setattr("rescind.api.streams.asyncio.sleep", count)
        watcher = streams.follow(replace(shown.live(), look=look), asked(), always)
        for _ in range(3):
            await event(watcher)
        assert min(slept) >= took / limits.LIVE_LOOK_SHARE

    asyncio.run(go())


def test_a_stream_does_not_count_as_use_of_its_session(
    api: TestClient, context: Context, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(api)
    monkeypatch.setattr(limits, "SESSION_TOUCH_SECONDS", -1)
    touched: list[bytes] = []
    monkeypatch.setattr(store, "touch_session", touched.append)
    context.health.drain()  # a stream that is refused, for it would never end
    answer = api.get("/", headers=EVENTS)
    assert "No more streams" in answer.text
    assert touched == []
    api.get("/")
    assert len(touched) == 1


@pytest.mark.parametrize("path", ["/", "/jobs/1", "/workers", "/charts", "/operations"])
def test_nobody_follows_without_a_session(api: TestClient, store: Store, path: str) -> None:
    harness.submit(store)
    answer = api.get(path, headers=EVENTS)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text == "event: over\ndata: \n\n"
