"""What job modules declare. Run as a program, it imports them and prints that as JSON, so that
the service itself never imports a user's code.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import msgspec

from rescind.errors import ConfigurationError
from rescind.model import JobMetadata
from rescind.sdk.job import Processor


class Description(msgspec.Struct, frozen=True):
    """The job metadata of some modules, and what is wrong with them, in whole sentences."""

    metadata: list[JobMetadata]
    problems: list[str]


def describe(modules: Sequence[str]) -> Description:
    """Import ``modules`` and collect what they declare."""
    found: dict[str, JobMetadata] = {}
    problems: list[str] = []
    for name in modules:
        try:
            module = importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - importing runs a user's code
            problems.append(_import_problem(name, error))
            continue
        for attribute, value in vars(module).items():
            if not isinstance(value, Processor):
                continue
            metadata = msgspec.structs.replace(value.metadata, processor=f"{name}:{attribute}")
            if value.metadata.processor.partition(":")[0] != name:
                continue  # imported from another module, which declares it
            earlier = found.setdefault(metadata.name, metadata)
            if earlier != metadata:
                problems.append(
                    f"The job {metadata.name} is declared twice: at {earlier.processor} and at "
                    f"{metadata.processor}."
                )
    return Description(list(found.values()), problems)


def checked(description: Description) -> list[JobMetadata]:
    """The metadata; raises ConfigurationError when there are problems."""
    if description.problems:
        raise ConfigurationError(*description.problems)
    return description.metadata


def add_working_directory() -> None:
    """Let modules in the working directory be found, as people expect of a command line."""
    here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if here not in sys.path:
        sys.path.insert(0, here)


def _import_problem(name: str, error: BaseException) -> str:
    where = ""
    if frames := traceback.extract_tb(error.__traceback__):
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})"
    return f"The job module {name} cannot be imported: {type(error).__name__}: {error}{where}."


def main() -> None:
    """Print the description of the modules named on the command line."""
    add_working_directory()
    answer = os.dup(1)
    os.dup2(2, 1)  # what modules print while they are imported is not our answer
    payload = msgspec.json.encode(describe(sys.argv[1:]))
    with os.fdopen(answer, "wb") as output:
        output.write(payload)
    sys.stdout.flush()
    os._exit(0)  # modules may have started threads


if __name__ == "__main__":
    main()
