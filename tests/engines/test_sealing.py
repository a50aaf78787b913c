"""How what workers and keepers on nodes say travels within TLS."""

from collections.abc import Callable
from pathlib import Path

import pytest

from certificates import certificate
from rescind.engines.ray.sealing import Certificate, Sealing, of_keeper
from rescind.errors import CannotStart


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("certificate"))


def shake(keeper: Sealing, worker: Sealing) -> None:
    """Let them say what they have to until something can be said."""
    keeper.opened(b"")
    for _ in range(5):
        worker.opened(keeper.sealed())
        keeper.opened(worker.sealed())


def test_what_is_said_is_heard_and_cannot_be_read(files: tuple[Path, Path]) -> None:
    worker = Certificate(*files)
    ours, theirs = worker.sealing(), of_keeper(worker.der)
    shake(theirs, ours)
    assert ours.shaken
    assert theirs.shaken
    said = b"what is said " * 20_000
    sealed = ours.sealed(said)
    assert b"what is said" not in sealed
    pieces = [sealed[at : at + 1000] for at in range(0, len(sealed), 1000)]
    assert b"".join(map(theirs.opened, pieces)) == said
    assert ours.opened(theirs.sealed(b"answer")) == b"answer"


def test_another_certificate_is_not_taken(files: tuple[Path, Path], tmp_path: Path) -> None:
    impostor = Certificate(*certificate(tmp_path / "other"))
    theirs = of_keeper(Certificate(*files).der)
    with pytest.raises(OSError, match="another certificate"):
        shake(theirs, impostor.sealing())


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x05hello", b"\x16\x03\x01"])
def test_who_does_not_speak_tls_is_heard_no_further(files: tuple[Path, Path], said: bytes) -> None:
    ours = Certificate(*files).sealing()
    try:
        heard = ours.opened(said)
    except OSError:
        heard = b""
    assert heard == b""
    assert not ours.shaken


def test_what_was_changed_on_the_way_is_not_heard(files: tuple[Path, Path]) -> None:
    worker = Certificate(*files)
    ours, theirs = worker.sealing(), of_keeper(worker.der)
    shake(theirs, ours)
    sealed = bytearray(ours.sealed(b"stop"))
    sealed[-1] ^= 1
    with pytest.raises(OSError, match=r"(?i)bad record mac|decryption"):
        theirs.opened(bytes(sealed))


def test_certificate_and_key_may_stand_in_one_file(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(files[1].read_bytes() + files[0].read_bytes())
    assert Certificate(both, None).der == Certificate(*files).der


def absent(folder: Path) -> tuple[Path, Path | None]:
    return folder / "absent.pem", None


def without_key(folder: Path) -> tuple[Path, Path | None]:
    return certificate(folder)[0], None


def of_another(folder: Path) -> tuple[Path, Path | None]:
    return certificate(folder)[0], certificate(folder / "other")[1]


def locked(folder: Path) -> tuple[Path, Path | None]:
    return certificate(folder, "-passout", "pass:secret")


def no_certificate(folder: Path) -> tuple[Path, Path | None]:
    (folder / "text.pem").write_text("no certificate\n")
    return folder / "text.pem", None


@pytest.mark.parametrize("make", [absent, without_key, of_another, locked, no_certificate])
def test_what_cannot_be_used_is_said(
    make: Callable[[Path], tuple[Path, Path | None]], tmp_path: Path
) -> None:
    file, key = make(tmp_path)
    with pytest.raises(CannotStart, match="certificate for keepers") as raised:
        Certificate(file, key)
    assert str(file) in str(raised.value)
