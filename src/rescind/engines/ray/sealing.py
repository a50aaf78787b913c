"""How what a worker and its keepers say travels: as it is, or within TLS. Each is the state of one
end of a connection, without its socket: bytes go in, bytes come out.

A keeper takes the very certificate that it was told of, and no other: nobody has to sign it.
"""

import ssl
from pathlib import Path
from typing import Protocol

from rescind.errors import CannotStart

_READ_BYTES = 64 * 1024


class Sealing(Protocol):
    """One end of a connection."""

    @property
    def shaken(self) -> bool:
        """Whether something can be said."""
        ...

    def opened(self, data: bytes) -> bytes:
        """What the other end has said, of what came; nothing as long as there is nothing whole.
        There may be something to be sent now. Raises OSError when it cannot be the other end.
        """
        ...

    def sealed(self, data: bytes = b"") -> bytes:
        """What is to be sent so that ``data`` is heard, with what else has to be."""
        ...


class Plain:
    """As it is."""

    shaken = True

    def opened(self, data: bytes) -> bytes:
        """See :class:`Sealing`."""
        return data

    def sealed(self, data: bytes = b"") -> bytes:
        """See :class:`Sealing`."""
        return data


class Tls:
    """Within TLS 1.3. ``pinned``: the other end's certificate, where it must have one."""

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, pinned: bytes | None = None
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._state = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._pinned = pinned
        self.shaken = False

    def opened(self, data: bytes) -> bytes:
        """See :class:`Sealing`."""
        self._incoming.write(data)
        clear = bytearray()
        try:
            if not self.shaken:
                self._shake()
            while more := self._state.read(_READ_BYTES):
                clear += more
        except ssl.SSLWantReadError:
            pass
        return bytes(clear)

    def _shake(self) -> None:
        self._state.do_handshake()
        if self._pinned is not None and self._pinned != self._state.getpeercert(binary_form=True):
            raise OSError("whoever answers has another certificate than our worker")
        self.shaken = True

    def sealed(self, data: bytes = b"") -> bytes:
        """See :class:`Sealing`."""
        if data:
            self._state.write(data)
        return self._outgoing.read()


class Certificate:
    """What a worker proves itself to its keepers with. Raises CannotStart when it cannot be used.

    ``file``: the certificate, PEM; ``key``: its key, PEM, when that is not in the same file.
    """

    def __init__(self, file: Path, key: Path | None) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.num_tickets = 0  # each keeper connects once
        begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
        try:
            # Without a password: nobody is there to be asked.
            self._context.load_cert_chain(file, key, password="")
            _, _, first = file.read_text().partition(begin)
            body, _, _ = first.partition(end)
            self.der = ssl.PEM_cert_to_DER_cert(f"{begin}{body}{end}")
        except (OSError, ValueError) as error:
            named = f"{file}" if key is None else f"{file} with the key {key}"
            why = f"it must have its own key, both PEM, the key without a password ({error})"
            if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
                why = str(error)
            raise CannotStart(
                f"The certificate for keepers, {named}, cannot be used: {why}."
            ) from error

    def sealing(self) -> Sealing:
        """The worker's end of one connection."""
        return Tls(self._context, server_side=True)


def of_keeper(certificate: bytes | None) -> Sealing:
    """A keeper's end of its connection. ``certificate``: its worker's (DER), where it has one."""
    if certificate is None:
        return Plain()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is compared, which says more
    return Tls(context, server_side=False, pinned=certificate)
