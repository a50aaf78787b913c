"""The walk-through of the documentation is run, block by block, on a cluster of its own."""

import socket
from pathlib import Path

import tutorials


def test_every_block_of_the_walk_through_works(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    section = "A walk-through"
    count, said = tutorials.run("scaling.md", tmp_path, section=section, put={"6379": port})
    assert count == 5
    for words in (
        "SUCCESS",
        "Job Stop Evidence: STOPPED_ITSELF",
        "No node of the cluster is large enough: it asks for 512 processors; the largest has 4",
    ):
        assert words in said
