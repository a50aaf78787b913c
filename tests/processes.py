"""Looking at processes."""

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether a process is more than a dead one that nobody has reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] != b"Z"
    except OSError:
        return False
