"""What job modules declare. Run as a program, it imports them and prints that as JSON, so that
the service itself never imports a user's code.
"""

import contextlib
import importlib
import inspect
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import msgspec

from rescind import limits
from rescind.clock import SystemClock
from rescind.engines.importing import place_of, problem, watched
from rescind.engines.process.system import IS_LINUX, become_subreaper
from rescind.engines.process.tree import children_of, descendants
from rescind.errors import ConfigurationError
from rescind.model import JobMetadata
from rescind.sdk.job import Processor


class Description(msgspec.Struct, frozen=True):
    """The job metadata of some modules, and what is wrong with them, in whole sentences."""

    metadata: list[JobMetadata]
    problems: list[str]
    resources: dict[str, tuple[float, int]] = {}
    """What runs ask of their node, by processor: processors, and MiB of memory."""


def describe(
    modules: Sequence[str], load: Callable[[str], ModuleType] = importlib.import_module
) -> Description:
    """Import ``modules`` by ``load`` and collect what they declare."""
    found: dict[str, JobMetadata] = {}
    problems: list[str] = []
    resources: dict[str, tuple[float, int]] = {}
    for name in modules:
        try:
            module = load(name)
            declared = _declared(module)
            resources |= _resources(module)
        except BaseException as error:  # noqa: BLE001 - importing runs a user's code
            problems.append(problem(name, error))
            continue
        if not declared:
            problems.append(_no_job(module))
        for metadata in declared:
            earlier = found.setdefault(metadata.name, metadata)
            if earlier != metadata:
                problems.append(
                    f"The job {metadata.name} is declared twice: at {earlier.processor} and at "
                    f"{metadata.processor}."
                )
    return Description(list(found.values()), problems, resources)


def _processors(module: ModuleType) -> list[tuple[str, Processor]]:
    return [
        (name, value) for name, value in vars(module).items() if issubclass(type(value), Processor)
    ]


def _home(processor: Processor) -> str:
    return processor.metadata.processor.partition(":")[0]


def _declared(module: ModuleType) -> list[JobMetadata]:
    """Without what it has imported from another module, which declares that."""
    return [
        msgspec.structs.replace(value.metadata, processor=f"{module.__name__}:{attribute}")
        for attribute, value in _processors(module)
        if _home(value) == module.__name__
    ]


def _resources(module: ModuleType) -> dict[str, tuple[float, int]]:
    return {
        f"{module.__name__}:{attribute}": (value.cpus, value.memory_mib)
        for attribute, value in _processors(module)
    }


def _no_job(module: ModuleType) -> str:
    homes = sorted({_home(processor) for _, processor in _processors(module)})
    hint = f"; name the modules whose jobs it imports: {', '.join(homes)}" if homes else ""
    where = f" ({module.__file__}, line 1)" if module.__file__ else ""
    return f"The job module {module.__name__} declares no job with @job{hint}{where}."


def described(modules: Sequence[str], warm: str) -> Description:
    """What a process of its own finds in the modules, see :func:`main`. Raises ConfigurationError
    when it says nothing.
    """
    seconds = (len(modules) + 1) * limits.IMPORT_SECONDS_MAX
    what = f"Importing the job modules {', '.join(modules)}"
    try:
        asked = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", "rescind.engines.describe", warm, *modules],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
            timeout=seconds,
        )
        return msgspec.json.decode(asked.stdout, type=Description)
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(f"{what} takes longer than {seconds:g} seconds.") from error
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"{what} ended the process (exit status {asked.returncode})."
        ) from error


def checked(description: Description) -> list[JobMetadata]:
    """The metadata; raises ConfigurationError when there are problems."""
    if description.problems:
        raise ConfigurationError(*description.problems)
    return description.metadata


def add_working_directory() -> None:
    """Let modules in the working directory be found, as people expect of a command line."""
    here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if here not in sys.path:
        sys.path.insert(0, here)


class _Births:
    """Where processes were started while modules were imported."""

    _EVENTS = frozenset({"os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen"})

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._places: list[tuple[set[int], str]] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if event in self._EVENTS and os.getpid() == self._pid:
            self._places.append((children_of(self._pid), place_of(inspect.currentframe())))

    def problems(self) -> list[str]:
        """A sentence for each that still lives a moment later."""
        clock = SystemClock()
        until = clock.elapsed() + limits.HELPERS_SECONDS
        while self._left() and clock.elapsed() < until:
            select.select((), (), (), limits.KILL_LOOK_SECONDS_MIN)
        return [
            f"Importing the job modules leaves the process {pid} behind{self._place(pid)}: start "
            "it in the job's function, or set warm to fresh."
            for pid in sorted(self._left())
        ]

    def _left(self) -> set[int]:
        """Those that live, but for multiprocessing's helper, which ends by itself."""
        tracker = sys.modules.get("multiprocessing.resource_tracker")
        helper = getattr(getattr(tracker, "_resource_tracker", None), "_pid", None)
        left = children_of(self._pid) - {helper}
        for pid in list(left):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    left.discard(pid)
        return left

    def _place(self, child: int) -> str:
        """Of the last start before which it was not there."""
        places = [place for before, place in self._places if child not in before]
        return places[-1] if places else ""


def main() -> None:
    """Print the description of modules. Arguments are ``auto``, ``fork`` or ``fresh``, and the
    modules: they may leave processes behind only where each run imports them by itself.
    """
    how, *modules = sys.argv[1:]
    add_working_directory()
    answer = os.dup(1)
    os.dup2(2, 1)  # what modules print while they are imported is not our answer
    pid = os.getpid()

    def tell(description: Description) -> None:
        for child in descendants(pid):
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        with os.fdopen(answer, "wb") as output:
            output.write(msgspec.json.encode(description))

    def load(name: str) -> ModuleType:
        with watched(name, lambda late: tell(Description([], [late]))):
            return importlib.import_module(name)

    if IS_LINUX:
        become_subreaper()  # what double-forks is seen and ended, too
    births = _Births()
    description = describe(modules, load)
    if os.getpid() == pid:  # else it is a copy that a module has forked
        left = [] if how == "fresh" else births.problems()
        tell(msgspec.structs.replace(description, problems=[*description.problems, *left]))
    sys.stdout.flush()
    os._exit(0)  # modules may have started threads


if __name__ == "__main__":
    main()
