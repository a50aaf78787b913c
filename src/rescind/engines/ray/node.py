"""The one function that Ray runs: it starts a keeper on its node, and holds the place for it."""

import os
import subprocess
import sys


def hold(spec: bytes) -> None:
    """Start a keeper, detached; return when it has ended. ``spec``: its own, packed."""
    held, theirs = os.pipe()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RESCIND_")
    }
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", "rescind.engines.ray.keeper", str(theirs)],
        input=spec,
        env=environment,
        pass_fds=[theirs],
        start_new_session=True,
        check=True,
    )
    os.close(theirs)
    with os.fdopen(held, "rb", buffering=0) as keeper:
        keeper.read()
