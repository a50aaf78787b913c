"""Looking at processes."""

from pathlib import Path

from rescind.engines.process.tree import descendants

HANG_SECONDS = 100.0
"""No test waits longer for what must happen: a guard against hanging, on a machine that is busy."""
_OURS = b"rescind.engines.process."


def is_alive(pid: int) -> bool:
    """Whether a process is more than a dead one that nobody has reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] != b"Z"
    except OSError:
        return False


def command_of(pid: int) -> bytes:
    """The command line of a process; nothing once it is gone, or about to be."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def name_of(pid: int) -> str:
    """What a process calls itself; nothing once it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def named(root: int, name: str) -> list[int]:
    """The living processes below ``root`` that call themselves so."""
    return [pid for pid in descendants(root) if name_of(pid) == name]


def programs_below(root: int) -> set[int]:
    """The living processes below ``root`` that are programs which jobs have started."""
    commands = {pid: command_of(pid) for pid in descendants(root)}
    not_jobs = (_OURS, b"postgres")
    return {
        pid
        for pid, command in commands.items()
        if command and not any(name in command for name in not_jobs)
    }
