"""Two hosts on one machine: network namespaces with a cable between them, which can be pulled.

These tests are in a namespace of their own: ``make test-hosts`` sees to that.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

import tutorials
from process.conftest import database, serve, started
from processes import HANG_SECONDS

__all__ = ["database", "serve", "started"]

HERE, THERE = "10.231.7.1", "10.231.7.2"
"""Addresses of the hosts."""
RAY_PORT = "6379"
NODE_CPUS = 4

if any(name != "lo" for _, name in socket.if_nameindex()):
    pytest.exit("these tests pull cables: make test-hosts gives them some of their own", 2)


def run(*words: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(words, check=True, capture_output=True)


class OtherHost:
    """A host at the other end of the cable. Its files, users and processes are ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs: list[subprocess.Popen[bytes]] = []
        self._anchor = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        there = Path(f"/proc/{self._anchor.pid}/ns/net")
        end = monotonic() + HANG_SECONDS
        while there.readlink() == Path("/proc/self/ns/net").readlink():
            assert monotonic() < end
        self.inside = ("nsenter", f"--net={there}")
        run("ip", "link", "set", "lo", "up")
        pid = str(self._anchor.pid)
        run("ip", "link", "add", "here", "type", "veth", "peer", "name", "there", "netns", pid)
        run("ip", "address", "add", f"{HERE}/24", "dev", "here")
        run(*self.inside, "ip", "address", "add", f"{THERE}/24", "dev", "there")
        for link in ("there", "lo"):
            run(*self.inside, "ip", "link", "set", link, "up")
        self.mend()
        ours = ("--head", "--node-ip-address", HERE, "--port", RAY_PORT, "--num-cpus", "0")
        self._ray("head", (), ours)

    def cut(self) -> None:
        """Pull the cable."""
        run("ip", "link", "set", "here", "down")

    def mend(self) -> None:
        """Put it in again."""
        run("ip", "link", "set", "here", "up")

    def join(self) -> None:
        """Start a node there that has room for runs; here there is none."""
        address = ("--address", f"{HERE}:{RAY_PORT}", "--node-ip-address", THERE)
        self._ray("node", self.inside, (*address, "--num-cpus", str(NODE_CPUS)))

    def _ray(self, name: str, inside: tuple[str, ...], words: tuple[str, ...]) -> None:
        said = self._folder / f"{name}-{len(self._programs)}.txt"
        with said.open("wb") as output:
            program = subprocess.Popen(
                [*inside, str(Path(sys.executable).with_name("ray")), "start", "--block", *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "RAY_USAGE_STATS_ENABLED": "0",
                    "PYTHONPATH": str(Path(__file__).parents[1]),
                },
            )
        self._programs.append(program)
        end = monotonic() + HANG_SECONDS
        while "Ray runtime started" not in said.read_text():
            assert program.poll() is None, said.read_text()
            assert monotonic() < end, said.read_text()

    def end(self) -> None:
        """Switch it off, and the head here."""
        for program in (*self._programs, self._anchor):
            tutorials.end_below(program.pid)
            program.wait()
        assert self._anchor.stdin is not None
        self._anchor.stdin.close()


@pytest.fixture(scope="session")
def other_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherHost]:
    host = OtherHost(tmp_path_factory.mktemp("ray"))
    host.join()
    yield host
    host.end()


@pytest.fixture(autouse=True)
def cable(other_host: OtherHost) -> Iterator[None]:
    """It is in when a test begins."""
    yield
    other_host.mend()
