"""What a supervisor of the service asks: is it alive, can it serve. One word each."""

from rescind.api.http import Context, Request, Text


def healthz(context: Context, request: Request) -> Text:  # noqa: ARG001 - a handler's signature
    """The process answers."""
    return Text(text="alive\n")


def readyz(context: Context, request: Request) -> Text:  # noqa: ARG001 - a handler's signature
    """The store can be read and written, jobs can run, and nobody has told the process to stop."""
    trouble = context.health.trouble()
    if trouble is not None:
        return Text(text=f"{trouble}\n", http_status=503)
    return Text(text="ready\n")
