"""Certificates that nobody has signed."""

import subprocess
from pathlib import Path


def certificate(folder: Path, *more: str) -> tuple[Path, Path]:
    """A new one for 127.0.0.1, and its key; ``more``: other arguments of openssl's."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2"
    files = "-keyout key.pem -out certificate.pem -subj /CN=localhost"
    named = "-addext subjectAltName=IP:127.0.0.1"
    words = [*f"{command} {files} {named}".split(), *(more or ["-nodes"])]
    folder.mkdir(exist_ok=True)
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"
