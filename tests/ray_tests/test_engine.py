"""What is a cluster's alone: where a run is placed, and what becomes of it when nodes fail."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from engines.conftest import CLOCK, Driver
from processes import HANG_SECONDS, is_alive
from ray_tests.conftest import keepers
from rescind import limits
from rescind.engines.process.frames import FrameReader, frame
from rescind.engines.protocol import Asked, Ending
from rescind.engines.ray import handshake
from rescind.engines.ray.engine import RayEngine
from rescind.engines.ray.sealing import Certificate, Plain, Sealing, of_keeper
from rescind.errors import CannotStart
from rescind.lifecycle import Evidence

LOST = (Ending.STOPPED, Evidence.WORKER_LOST)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not heard is lost after a few seconds."""
    monkeypatch.setattr(limits, "NODE_SECONDS", limits.LEASE_MARGIN_SECONDS + 4)


class Relay:
    """Stands between keepers and their worker. When it is cut, the worker hears that its keepers
    are gone, and they hear nothing any more.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._to_worker: list[socket.socket] = []
        self._to_keepers: list[socket.socket] = []
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                keeper, _ = self._listener.accept()
                worker = socket.create_connection(self._target)
                self._to_keepers.append(keeper)
                self._to_worker.append(worker)
                for ends in ((keeper, worker), (worker, keeper)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            if not self._is_cut:
                target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self._is_cut = True
        for worker in self._to_worker:
            worker.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._to_worker, *self._to_keepers):
            one.close()


@pytest.fixture
def relay() -> Iterator[Callable[[Driver], Relay]]:
    """Put one between a worker and the keepers that it asks for from now on."""
    relays: list[Relay] = []

    def put(driver: Driver) -> Relay:
        lobby = engine_of(driver)._lobby
        relays.append(Relay(lobby.host, lobby.port))
        lobby.port = relays[-1].port
        return relays[-1]

    yield put
    for one in relays:
        one.close()


def engine_of(driver: Driver) -> RayEngine:
    assert isinstance(driver.engine, RayEngine)
    return driver.engine


def gone(processes: list[psutil.Process]) -> None:
    """Wait until none of them is left."""
    _, alive = psutil.wait_procs(processes, timeout=HANG_SECONDS)
    assert not alive


def test_a_keeper_is_nobodys_child_and_its_secret_stands_nowhere(driver: Driver) -> None:
    run = driver.entered("waits")
    [keeper] = keepers()
    assert os.getsid(keeper.pid) == os.getpgid(keeper.pid) == keeper.pid
    workers = [one.pid for one in psutil.process_iter() if "ray::" in one.name()]
    assert keeper.ppid() not in workers
    [place] = engine_of(driver)._places.values()
    secret = place.secret
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            folder = Path(f"/proc/{process.pid}")
            said = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            assert secret not in said
            assert secret.hex().encode() not in said
    below = keeper.children(recursive=True)
    driver.stop(run)
    assert driver.end(run).evidence is Evidence.STOPPED_ITSELF
    driver.engine.close()
    gone([keeper, *below])


def test_a_keeper_serves_runs_alike_and_idles_only_for_a_while(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.run("echo")
    first = list(engine_of(driver)._places)
    driver.run("echo")
    assert list(engine_of(driver)._places) == first
    monkeypatch.setattr(limits, "NODE_IDLE_SECONDS", 0.0)
    driver.until(lambda: not engine_of(driver)._places)


def test_what_ray_ends_of_its_own_ends_no_run(driver: Driver) -> None:
    run = driver.entered("waits")
    holders = [one for one in psutil.process_iter() if "ray::rescind" in one.name()]
    assert holders
    for holder in holders:
        holder.kill()
    gone(holders)
    driver.until(lambda: engine_of(driver).free() > 0)
    driver.stop(run)
    assert driver.end(run).evidence is Evidence.STOPPED_ITSELF


def test_a_run_goes_on_without_the_program_that_speaks_with_ray(driver: Driver) -> None:
    run = driver.entered("waits")
    placer = engine_of(driver)._placer._process
    assert placer is not None
    placer.kill()
    driver.until(lambda: driver.engine.problem is not None)
    driver.stop(run)
    assert driver.end(run).evidence is Evidence.STOPPED_ITSELF
    assert driver.run("echo").ending is Ending.RETURNED, "it has been started again"


def test_a_keeper_that_is_killed_is_lost_and_nothing_of_its_run_is_left(
    soon: None, driver: Driver
) -> None:
    run = driver.entered("waits")
    [keeper] = keepers()
    below = keeper.children(recursive=True)
    assert len(below) >= 3
    keeper.kill()
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == LOST
    gone(below)
    assert driver.run("echo").ending is Ending.RETURNED


def test_a_run_that_was_never_let_in_is_not_lost_but_given_back(driver: Driver) -> None:
    driver.allow = False
    run = driver.start("echo")
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)


def test_a_run_that_waits_for_a_keeper_that_has_served_another_is_given_back_with_it(
    driver: Driver,
) -> None:
    driver.run("echo")
    [place] = engine_of(driver)._places.values()
    driver.until(lambda: place.ready)
    place.ready = False  # as it is for a moment after each run
    [keeper] = keepers()
    keeper.kill()
    run = driver.start("echo")
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)


def test_a_stop_is_not_lost_when_the_keeper_gets_ready_at_the_same_time(driver: Driver) -> None:
    driver.run("echo")
    engine = engine_of(driver)
    [place] = engine._places.values()
    driver.until(lambda: place.ready)
    place.ready = False  # as it is for a moment after each run
    run = driver.start("says")
    driver.stop(run)
    engine._heed(place, {"is": "ready"})
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)
    assert driver.logged(run) == []


def test_a_keeper_that_cannot_reach_its_worker_is_said(make_engine: Callable[..., Driver]) -> None:
    driver = make_engine()
    driver.until(lambda: driver.engine.free() > 0)
    engine_of(driver)._lobby.port = 1  # where nobody listens
    run = driver.start("echo")
    assert driver.end(run).ending is Ending.NOT_ENTERED
    assert "could not reach its worker" in (driver.engine.problem or "")


def test_a_keeper_that_stands_still_is_made_to_go_on_with_ray_or_without(driver: Driver) -> None:
    run = driver.entered("waits")
    [keeper] = keepers()
    holders = [one for one in psutil.process_iter() if "ray::rescind" in one.name()]
    for holder in holders:
        holder.kill()
    gone(holders)
    keeper.send_signal(signal.SIGSTOP)
    driver.stop(run)
    assert driver.end(run).evidence is Evidence.STOPPED_ITSELF


def test_who_does_not_hear_its_worker_kills_and_goes(soon: None, driver: Driver) -> None:
    run = driver.entered("waits")
    [keeper] = keepers()
    below = keeper.children(recursive=True)
    # Nobody polls: the worker stands still, and answers nothing.
    gone([keeper, *below])
    ended = driver.end(run)
    assert ended.evidence in (Evidence.KILLED, Evidence.WORKER_LOST)


def test_what_a_run_said_while_its_worker_stood_still_is_heard(soon: None, driver: Driver) -> None:
    run = driver.start("echo")
    engine = engine_of(driver)
    driver.until(lambda: Asked(run) in driver.events)
    [place] = engine._places.values()
    over_at = place.until + limits.LEASE_MARGIN_SECONDS
    while CLOCK.elapsed() < over_at:  # nobody polls
        threading.Event().wait(over_at - CLOCK.elapsed())
    assert driver.end(run).ending is Ending.RETURNED


def test_an_engine_is_not_closed_before_what_it_cannot_hear_has_ended(
    soon: None, make_engine: Callable[..., Driver], relay: Callable[[Driver], Relay]
) -> None:
    driver = make_engine()
    driver.until(lambda: driver.engine.free() > 0)
    between = relay(driver)
    driver.entered("waits")
    [keeper] = keepers()
    below = keeper.children(recursive=True)
    between.cut()
    driver.engine.close()
    assert below
    assert not [one for one in below if is_alive(one.pid)]


def test_a_placer_that_stands_still_holds_nobody_up(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = driver.entered("waits")
    engine = engine_of(driver)
    placer = engine._placer._process
    assert placer is not None
    placer.send_signal(signal.SIGSTOP)
    for _ in range(600):
        run = driver.start("echo")
        driver.stop(run)
        assert driver.end(run).ending is Ending.NOT_ENTERED
    monkeypatch.setattr(limits, "PLACER_REACH_SECONDS", 1.0)
    driver.until(lambda: "does not answer" in (driver.engine.problem or ""))
    monkeypatch.undo()
    assert placer.returncode is not None
    assert driver.run("echo").ending is Ending.RETURNED
    driver.stop(healthy)
    assert driver.end(healthy).evidence is Evidence.STOPPED_ITSELF


def test_what_was_asked_of_a_placer_that_is_gone_is_given_back_at_once(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PLACE_SECONDS_MAX", 10 * HANG_SECONDS)
    placer = engine_of(driver)._placer._process
    assert placer is not None
    placer.send_signal(signal.SIGSTOP)
    runs = [driver.start("echo") for _ in range(3)]
    placer.kill()
    for run in runs:
        assert driver.end(run).ending is Ending.NOT_ENTERED
    assert driver.run("echo").ending is Ending.RETURNED


def test_an_order_waits_for_its_own_time_not_for_its_keepers(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NODE_IDLE_SECONDS", HANG_SECONDS)
    monkeypatch.setattr(limits, "IMPORT_SECONDS_MAX", 0.0)
    driver.run("echo")
    monkeypatch.setattr(limits, "PLACE_SECONDS_MAX", 5.0)
    [place] = engine_of(driver)._places.values()
    old_at = place.waits_since + limits.PLACE_SECONDS_MAX
    while CLOCK.elapsed() < old_at + 1:
        assert driver.run("echo").ending is Ending.RETURNED
    assert list(engine_of(driver)._places.values()) == [place]


def test_a_fence_ends_all_runs(driver: Driver) -> None:
    runs = [driver.entered("waits") for _ in range(2)]
    driver.engine.fence(CLOCK.elapsed())
    for run in runs:
        assert driver.end(run).evidence in (Evidence.KILLED, Evidence.WORKER_LOST)


def test_a_keeper_is_waited_for_as_long_as_it_was_ever_told_to_go_on(driver: Driver) -> None:
    run = driver.entered("waits")
    engine = engine_of(driver)
    [place] = engine._places.values()
    until = place.until
    engine._fence_at = CLOCK.elapsed()  # and the keeper does not hear of it
    engine._heed(place, {"is": "beat", "beat": -1})
    assert place.until >= until
    engine._fence_at = None
    driver.stop(run)
    driver.end(run)


def test_what_nobody_takes_any_more_is_not_tried_again_and_again(driver: Driver) -> None:
    driver.run("echo")
    [place] = engine_of(driver)._places.values()
    place.let_go()
    assert place.send({"do": "go on", "beat": -1, "seconds": 0.0})
    assert not place.unsent
    driver.until(lambda: not engine_of(driver)._places)


def test_what_is_told_to_stop_before_its_keeper_is_there_never_starts(driver: Driver) -> None:
    run = driver.start("waits")
    threading.Thread(target=driver.stop, args=(run,)).start()
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)
    driver.until(lambda: not engine_of(driver)._places)


def test_runs_are_placed_by_what_they_ask(make_engine: Callable[..., Driver]) -> None:
    driver = make_engine(modules=("ray_tests.jobs_placed",))
    driver.until(lambda: driver.engine.free() > 0)
    obstacle = {
        name: driver.engine.obstacles().get(f"ray_tests.jobs_placed:{name}")
        for name in ("small", "wide", "vast", "greedy")
    }
    assert obstacle["small"] is obstacle["wide"] is None
    assert "No node of the cluster is large enough: it asks for" in (obstacle["vast"] or "")
    assert "33,554,432 MiB" in (obstacle["greedy"] or "")
    held = [driver.entered("holds") for _ in range(2)]
    name = "ray_tests.jobs_placed:half"
    driver.until(lambda: "No node has room" in (driver.engine.obstacles().get(name) or ""))
    assert driver.engine.free() > 0, "of each there is one processor"
    for run in held:
        driver.stop(run)
        driver.end(run)
    driver.until(lambda: driver.engine.obstacles().get(name) is None)
    wide = [driver.start("wide") for _ in range(2)]
    nodes = {driver.end(run).result for run in wide}
    assert len(nodes) == 2, "no node has room for both"


def test_runs_of_other_shapes_leave_keepers_that_wait_alone_where_there_is_room(
    make_engine: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NODE_IDLE_SECONDS", HANG_SECONDS)
    driver = make_engine(modules=("ray_tests.jobs_placed",))
    driver.until(lambda: driver.engine.free() > 0)
    for name in ("small", "half"):
        driver.run(name)
    places = list(engine_of(driver)._places)
    assert len(places) == 2
    for name in ("small", "half", "small"):
        driver.run(name)
    assert list(engine_of(driver)._places) == places


@pytest.mark.parametrize("within_tls", [False, True])
def test_strangers_are_turned_away(
    make_engine: Callable[..., Driver],
    worker_certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    *,
    within_tls: bool,
) -> None:
    monkeypatch.setattr(limits, "NODE_HELLO_SECONDS", 1.0)
    driver = make_engine(certificate=worker_certificate if within_tls else None)
    driver.until(lambda: driver.engine.free() > 0)
    run = driver.entered("waits")
    lobby = engine_of(driver)._lobby
    [place] = engine_of(driver)._places.values()
    frames = FrameReader()

    def told(*said: bytes, sealing: Sealing | None = None) -> bytes:
        with socket.create_connection((lobby.host, lobby.port)) as stranger:
            stranger.settimeout(0.05)
            sealing = sealing or of_keeper(lobby.certificate)
            answer = sealing.opened(b"")
            while not sealing.shaken:
                stranger.sendall(sealing.sealed())
                driver.events += driver.engine.poll(0.05)
                with contextlib.suppress(TimeoutError):
                    answer += sealing.opened(stranger.recv(4096))
            for data in said:
                stranger.sendall(sealing.sealed(data))
                driver.events += driver.engine.poll(0.05)
            with contextlib.suppress(TimeoutError, ConnectionError):
                answer += sealing.opened(stranger.recv(4096))
            return answer

    hello = frame({"is": "keeper", "id": place.id, "nonce": b"n"})
    assert told(b"GET / HTTP/1.1\r\n\r\n") == b""
    if within_tls:
        assert told(hello, sealing=Plain()) == b"", "who does not speak TLS is told nothing"
    assert told(frame({"is": "keeper", "id": "unknown", "nonce": b"n"})) == b""
    [answer] = frames.feed(told(hello))
    assert handshake.proves(answer, place.secret, handshake.WORKER, b"n")
    guess = handshake.proof(b"guess", handshake.KEEPER, answer["nonce"])
    told(hello, frame({"is": "proved", "proof": guess}))
    with contextlib.ExitStack() as stack:
        for _ in range(limits.NODE_HELLOS_MAX + 20):
            stack.enter_context(socket.create_connection((lobby.host, lobby.port)))
            driver.events += driver.engine.poll(0)
        assert driver.run("echo").ending is Ending.RETURNED
    driver.stop(run)
    assert driver.end(run).evidence is Evidence.STOPPED_ITSELF
    assert len(lobby.descriptors()) <= limits.NODE_HELLOS_MAX + 1


def test_ray_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PLACER_REACH_SECONDS", 3.0)
    with pytest.raises(CannotStart, match=r"127\.0\.0\.1:1"):
        RayEngine([], slots=1, clock=CLOCK, address="127.0.0.1:1")
