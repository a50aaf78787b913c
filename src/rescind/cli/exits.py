"""Exit codes, and how errors become them: one clear line, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from rescind.errors import (
    CannotStart,
    ConfigurationError,
    RescindError,
    SchemaError,
    StoreUnavailable,
)


class Exit(IntEnum):
    """What the command line's exit codes mean."""

    DONE = 0
    SOME_REFUSED = 1
    USAGE = 2
    CANNOT = 3
    """Cannot start, or cannot reach."""
    SCHEMA = 4
    NOT_PERMITTED = 5
    """Not signed in, or not permitted."""
    NOTHING_MATCHED = 6
    DECLINED = 7
    """Somebody said no, there is no terminal to ask on, or it is not the number expected."""
    NOT_IN_TIME = 8
    """What was waited for has not stopped, or ended, in time."""


_EXITS: dict[type[RescindError], Exit] = {
    SchemaError: Exit.SCHEMA,
    ConfigurationError: Exit.CANNOT,
    CannotStart: Exit.CANNOT,
    StoreUnavailable: Exit.CANNOT,
}


@contextmanager
def clear_errors() -> Iterator[None]:
    """Say what is wrong on standard error and leave with the code that says which kind it is."""
    try:
        yield
    except RescindError as error:
        problems = error.problems if isinstance(error, ConfigurationError) else [str(error)]
        for problem in problems:
            print(f"rescind: {' '.join(problem.split())}", file=sys.stderr)
        code = next((code for kind, code in _EXITS.items() if isinstance(error, kind)), Exit.CANNOT)
        raise SystemExit(code) from error
    except OSError as error:  # a file that cannot be made, a disk that is full
        print(f"rescind: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(Exit.CANNOT) from error
