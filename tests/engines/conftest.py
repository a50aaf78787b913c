"""What the engine tests share: an engine driven as a worker would, waiting for its events."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from postgres import Server
from processes import HANG_SECONDS
from rescind import limits
from rescind.clock import SystemClock
from rescind.engines.inline import InlineEngine
from rescind.engines.process.engine import ProcessEngine
from rescind.engines.process.tree import descendants
from rescind.engines.protocol import (
    Asked,
    Ended,
    Engine,
    EngineEvent,
    Logged,
    Order,
    Progressed,
    StopReason,
)
from rescind.model import RunRef

JOBS = "engines.jobs_for_tests"
CLOCK = SystemClock()


@dataclass
class Driver:
    """Drives an engine: starts runs, answers what they ask, gathers what they say."""

    engine: Engine
    module: str = JOBS
    """Where names of jobs are looked up."""
    events: list[EngineEvent] = field(default_factory=list)
    runs: int = 0
    allow: bool = True

    def start(
        self,
        name: str,
        grace_seconds: float = 5.0,
        *,
        seconds: float | None = None,
        interrupt_seconds: float | None = None,
        terminate_seconds: float = limits.TERMINATE_SECONDS_DEFAULT,
        **parameters: Any,
    ) -> RunRef:
        """Start a run of one of the test jobs, as soon as a slot is free; it may go on for
        ``seconds``. It is not interrupted unless ``interrupt_seconds`` says so: most tests are
        about what must be forced.
        """
        self.until(lambda: self.engine.free() > 0)
        self.runs += 1
        run = RunRef(self.runs, 1)
        order = Order(
            run=run,
            processor=name if ":" in name else f"{self.module}:{name}",
            parameters=parameters,
            grace_seconds=grace_seconds,
            interrupt_seconds=interrupt_seconds,
            terminate_seconds=terminate_seconds,
        )
        if seconds is not None:
            self.engine.fence(CLOCK.elapsed() + seconds)
        self.engine.start(order)
        return run

    def until(self, done: Callable[[], bool], seconds: float = HANG_SECONDS) -> None:
        """Poll until it is so."""
        end = monotonic() + seconds
        while not done():
            assert monotonic() < end, f"waited in vain; heard {self.events[-9:]}"
            for event in self.engine.poll(0.2):
                self.events.append(event)
                if isinstance(event, Asked):
                    self.engine.permit(event.run, self.allow)

    def logged(self, run: RunRef) -> list[str]:
        """The lines of a run so far."""
        return [
            event.text for event in self.events if isinstance(event, Logged) and event.run == run
        ]

    def progressed(self, run: RunRef) -> list[tuple[int, int]]:
        """What a run said of its progress."""
        return [
            (event.done, event.total)
            for event in self.events
            if isinstance(event, Progressed) and event.run == run
        ]

    def has_asked(self, run: RunRef) -> bool:
        """Whether a run has asked to enter, and was answered."""
        return Asked(run) in self.events

    def until_logged(self, run: RunRef, text: str) -> None:
        """Wait for a line."""
        self.until(lambda: text in self.logged(run))

    def end(self, run: RunRef, seconds: float = HANG_SECONDS) -> Ended:
        """Wait for the end of a run."""
        found: list[Ended] = []

        def ended() -> bool:
            found[:] = [
                event for event in self.events if isinstance(event, Ended) and event.run == run
            ]
            return bool(found)

        self.until(ended, seconds)
        [only] = found
        return only

    def stop(self, run: RunRef, reason: StopReason = StopReason.CANCEL) -> None:
        self.engine.stop(run, reason)

    def entered(
        self,
        name: str,
        grace_seconds: float = 60,
        *,
        interrupt_seconds: float | None = 0.3,
        **options: Any,
    ) -> RunRef:
        """Start a run and wait until it says that it has entered. The grace is a guard: nothing
        waits it out.
        """
        run = self.start(name, grace_seconds, interrupt_seconds=interrupt_seconds, **options)
        self.until_logged(run, "entered")
        return run

    def stopped(
        self, name: str, grace_seconds: float = 60, **options: Any
    ) -> tuple[Ended, list[str]]:
        """How a run ends that is told to stop once it has entered, and its log."""
        run = self.entered(name, grace_seconds, **options)
        self.stop(run)
        return self.end(run), self.logged(run)

    def run(self, name: str, **parameters: Any) -> Ended:
        """Start a run and wait for its end."""
        return self.end(self.start(name, **parameters))


@pytest.fixture
def make_process_engine(jobs_importable: None) -> Iterator[Callable[..., Driver]]:
    """Process engines that are closed, and have left nothing behind, when the test is over."""
    engines: list[ProcessEngine] = []
    before = descendants(os.getpid())

    def make(modules: tuple[str, ...] = (JOBS,), slots: int = 1, **options: Any) -> Driver:
        engine = ProcessEngine(modules, slots=slots, clock=CLOCK, **options)
        engines.append(engine)
        return Driver(engine, module=modules[0])

    yield make
    for engine in engines:
        engine.close()
    assert descendants(os.getpid()) <= before


@pytest.fixture
def process(make_process_engine: Callable[..., Driver]) -> Driver:
    """A process engine with one slot."""
    return make_process_engine()


@pytest.fixture(params=["process", "inline"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each engine in turn."""
    if request.param == "inline":
        return Driver(InlineEngine([JOBS], clock=SystemClock()))
    driver: Driver = request.getfixturevalue("process")
    return driver


@pytest.fixture(scope="session", autouse=True)
def server_first(postgres_server: Server) -> None:
    """Start PostgreSQL before an engine makes this process adopt orphans, and end them."""


@pytest.fixture(autouse=True)
def jobs_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children find the test jobs as their worker does, and not what is the service's alone."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("RESCIND_SECRET_OF_THE_SERVICE", "not for jobs")
