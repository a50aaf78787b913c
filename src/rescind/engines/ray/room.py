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
        self._sizes = list(starmap(Shape, (size for size, _ in both)))
        self._free = list(starmap(Shape, (free for _, free in both)))

    def forget(self) -> None:
        """Ray is away: nothing is known."""
        self._sizes, self._free = [], []
        self._again_at.clear()

    def refuse(self, shape: Shape) -> None:
        """Ray has found no place for it in good time: others have their turn now."""
        if self._sizes:
            self._again_at[shape] = self._clock.elapsed() + limits.PLACE_AGAIN_SECONDS

    def count(self, shape: Shape, idle: Sequence[Shape], asked: int) -> int:
        """How many of it can be started. ``idle``: what is held for runs to come, and may be given
        back for others; ``asked``: how many places Ray has been asked for that it may not have
        counted yet.
        """
        alike = idle.count(shape)
        fresh = sum(shape.times_in(free) for free in self._free) - asked
        if alike or fresh > 0:
            return alike + max(0, fresh)
        held = sum(idle, Shape(0.0))
        return int(asked == 0 and any(shape.fits(free + held) for free in self._free))

    def has(self, shape: Shape) -> bool:
        """Whether some node has room for it now."""
        return any(shape.fits(free) for free in self._free)

    def obstacle(
        self, shape: Shape, idle: Sequence[Shape], asked: int, alike_at: float | None
    ) -> str | None:
        """Why there is no room for it, in one sentence. See :meth:`count`; ``alike_at``: since when
        Ray has looked for a place for another like it.

        The sentence has nothing in it that changes all the time: it is kept.
        """
        if not self._sizes:
            return None  # nothing is known, and nothing started
        if not any(shape.fits(size) for size in self._sizes):
            enough = any(shape.cpus <= size.cpus for size in self._sizes)
            by = (lambda size: size.memory_mib) if enough else (lambda size: size.cpus)
            largest = max(self._sizes, key=by)
            return (
                f"No node of the cluster is large enough: it asks for {shape}; the largest has "
                f"{largest}."
            )
        now = self._clock.elapsed()
        slow_at = None if alike_at is None else alike_at + limits.PLACE_SLOW_SECONDS
        if shape not in idle and (
            now < self._again_at.get(shape, now) or (slow_at is not None and now >= slow_at)
        ):
            return f"Ray has found no place yet for what it asks for: {shape}."
        if not self.count(shape, idle, asked):
            return f"No node has room now for what it asks for: {shape}."
        return None
