"""The program that speaks with Ray, a process of its own: where Ray ends, it may end, and nothing
else. It asks for places, and tells what the nodes have.

A program without a worker ends; the places that it has asked for are Ray's to clean up, and the
keepers on them hear their worker alone.
"""

import contextlib
import importlib
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rescind import limits
from rescind.clock import SystemClock
from rescind.engines.process.frames import FrameReader, Message, frame
from rescind.engines.process.system import die_with_parent, name_process
from rescind.engines.ray.node import hold

_READ_BYTES = 64 * 1024
MIB = 1024 * 1024


_FreeByNode = Callable[[], Mapping[str, Mapping[str, float]]]


class Placer:
    """See the module."""

    def __init__(self, ray: Any, free_by_node: _FreeByNode, worker: socket.socket) -> None:
        self._ray = ray
        self._free_by_node = free_by_node
        self._clock = SystemClock()
        self._worker = worker
        self._frames = FrameReader()
        self._hold = ray.remote(max_retries=0)(hold)
        self._places: dict[Any, str] = {}
        """Whose keeper each reference of Ray's is about."""
        self._told: Message | None = None
        self._told_at = 0.0

    def place(self) -> None:
        """Serve until the worker is gone."""
        while self._hear():
            self._look()
            self._tell_nodes()

    def _hear(self) -> bool:
        readable, _, _ = select.select([self._worker], (), (), limits.PLACER_POLL_SECONDS)
        if not readable:
            return True
        data = self._worker.recv(_READ_BYTES)
        for message in self._frames.feed(data):
            self._obey(message)
        return bool(data)

    def _obey(self, message: Message) -> None:
        if message["do"] == "place":
            task = self._hold.options(
                num_cpus=message["cpus"],
                memory=message["memory_mib"] * MIB or None,
                name=f"rescind keeper {message['id'][:8]}",
            )
            self._places[task.remote(message["spec"])] = message["id"]
            return
        for reference in [one for one, name in self._places.items() if name == message["id"]]:
            del self._places[reference]
            with contextlib.suppress(Exception):  # it has begun, and ends with its keeper
                self._ray.cancel(reference)

    def _look(self) -> None:
        """Tell which places are no more."""
        if not self._places:
            return
        done, _ = self._ray.wait(list(self._places), num_returns=len(self._places), timeout=0)
        for reference in done:
            name, error = self._places.pop(reference), None
            try:
                self._ray.get(reference)
            except Exception as failure:  # noqa: BLE001 - whatever Ray says of it is told
                error = f"{type(failure).__name__}: {_last_line(failure)}"
            self._say({"is": "over", "id": name, "error": error})

    def _tell_nodes(self) -> None:
        """What each node that lives has in all, and free, if that has changed; and now and then
        all the same: who says nothing for long stands still.
        """
        free = self._free_by_node()
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        both = [(_shape(node["Resources"]), _shape(free.get(node["NodeID"], {}))) for node in nodes]
        message = {"is": "nodes", "nodes": both}
        now = self._clock.elapsed()
        if message != self._told or now >= self._told_at + limits.PLACER_REACH_SECONDS / 4:
            self._told, self._told_at = message, now
            self._say(message)

    def _say(self, message: Message) -> None:
        self._worker.sendall(frame(message))


def _last_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[-1]


def _shape(resources: Mapping[str, float]) -> tuple[float, int]:
    return resources.get("CPU", 0.0), int(resources.get("memory", 0.0)) // MIB


def main() -> None:
    """Place: arguments are the socket, the worker's pid and Ray's address."""
    number, pid, address = sys.argv[1:]
    die_with_parent(int(pid))
    name_process("rescind-placer")
    worker = socket.socket(fileno=int(number))
    worker.set_inheritable(False)
    try:
        ray: Any = importlib.import_module("ray")  # an extra, which takes its time
        state: Any = importlib.import_module("ray._private.state")  # there alone: by node
        context = ray.init(
            address=address, log_to_driver=False, configure_logging=False, namespace="rescind"
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the worker says it
        said = f"Ray at {address}: {_last_line(error)}"
        worker.sendall(frame({"is": "unreachable", "error": said}))
        return
    for number_of in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number_of, signal.SIG_DFL)
    here = context.address_info["node_ip_address"]
    worker.sendall(frame({"is": "reached", "here": here}))
    with contextlib.suppress(ConnectionError):
        Placer(ray, state.available_resources_per_node, worker).place()


if __name__ == "__main__":
    main()
