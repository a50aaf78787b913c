"""What the nodes of a cluster have, as Ray says, and what Ray finds no place for."""

from collections.abc import Iterable, Sequence
from itertools import starmap

from rescind import limits
from rescind.clock import Clock
from rescind.engines.ray.place import Shape


class Room:
    """See the module."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sizes: list[Shape] = []
        self._free: list[Shape] = []
        self._again_at: dict[Shape, float] = {}
        """When what Ray has found no place for is asked for again."""

    def heed(self, nodes: Iterable[tuple[tuple[float, int], tuple[float, int]]]) -> None:
        """Ray has said what each node that lives has, in all and free."""
        both = list(nodes)
        self._sizes = sorted({Shape(*size) for size, _ in both})
        self._free = sorted(starmap(Shape, (free for _, free in both)))

    def forget(self) -> None:
        """Ray is away: nothing is known."""
        self._sizes, self._free = [], []

    def refuse(self, shape: Shape) -> None:
        """Ray has found no place for it in good time: others have their turn now."""
        self._again_at[shape] = self._clock.elapsed() + limits.PLACE_AGAIN_SECONDS

    def slots(self, cpus: float) -> int | None:
        """For how many runs of so many processors there is room; None: any number."""
        if cpus <= 0:
            return None if self._sizes else 0
        return sum(int(free.cpus // cpus) for free in self._free)

    def obstacle(
        self, shape: Shape, idle: Sequence[Shape], asked_at: float | None = None
    ) -> str | None:
        """Why there is no room for it, in one sentence. ``idle``: what is held for runs to come;
        ``asked_at``: since when Ray has looked for a place for another like it.
        """
        now = self._clock.elapsed()
        if not self._sizes:
            return "Ray has not said yet what its nodes have."
        if not any(shape.fits(size) for size in self._sizes):
            return (
                f"No node of the cluster is large enough: it asks for {shape}; the largest has "
                f"{self._sizes[-1]}."
            )
        if shape in idle:
            return None
        held = Shape(sum(one.cpus for one in idle), sum(one.memory_mib for one in idle))
        if not any(shape.fits(free + held) for free in self._free):
            return (
                f"No node has room now: it asks for {shape}; the most that is free on one is "
                f"{self._free[-1]}."
            )
        if now < self._again_at.get(shape, now) or (
            asked_at is not None and now >= asked_at + limits.PLACE_SLOW_SECONDS
        ):
            return f"Ray has not found a place for {shape} yet."
        return None
