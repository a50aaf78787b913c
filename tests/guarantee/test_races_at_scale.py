"""Four claimers against four cancellers on 300 jobs, round after round. ``RACE_ROUNDS`` sets how
often; ``make prove`` does it by the hundred.
"""

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from guarantee.test_races import accepted_of, at_once, moves
from process.conftest import show
from rescind.lifecycle import Evidence, Move, Status
from rescind.model import Actor, RunEnd, RunRef, RunRelease
from rescind.store.protocol import Store
from store import harness
from store.harness import SYSTEM, USER, new_job, submit_all

ROUNDS = int(os.environ.get("RACE_ROUNDS", "10"))
JOBS = 300
CLAIMERS = ("w1", "w2", "w3", "w4")


class Round:
    """One race: who claimed what, and which cancels were accepted."""

    def __init__(self, stores: list[Store], seed: int) -> None:
        self.stores = stores
        self.random = random.Random(seed)
        self.metadata = harness.metadata()
        jobs = [new_job(metadata=self.metadata) for _ in range(JOBS)]
        self.ids = submit_all(stores[0], jobs, USER)
        self.claimed: Counter[int] = Counter()
        self.finished: set[int] = set()
        self.accepted: list[int] = []

    def claimer(self, store: Store, name: str) -> Callable[[], None]:
        """Claim a few; finish half of them, give the others back as killed."""
        actor = Actor(by=name)

        def work() -> None:
            store.lease(actor.by)
            while jobs := store.claim(actor, names=[self.metadata.name], limit=7):
                self.claimed.update(job.id for job in jobs)
                ends = [
                    RunEnd(
                        run=RunRef(job.id, job.attempt),
                        status=Status.SUCCESS,
                        evidence=Evidence.STOPPED_ITSELF,
                    )
                    for job in jobs
                    if job.id % 2
                ]
                self.finished |= store.finish(actor, ends)
                stopped = [
                    RunRelease(run=RunRef(job.id, job.attempt), evidence=Evidence.KILLED)
                    for job in jobs
                    if job.id not in self.finished
                ]
                store.release(name, stopped)

        return work

    def canceller(self, store: Store) -> Callable[[], None]:
        """Cancel all, in an order and in batches of its own; settle in between."""
        order = self.random.sample(self.ids, JOBS)
        size = self.random.choice((3, 30, 300))

        def work() -> None:
            for start in range(0, JOBS, size):
                self.accepted.extend(accepted_of(store, order[start : start + size]))
                store.settle(SYSTEM, limit=50)

        return work

    def run(self) -> None:
        stores = [self.stores[index % len(self.stores)] for index in range(4)]
        at_once(
            *(self.claimer(*pair) for pair in zip(stores, CLAIMERS, strict=True)),
            *(self.canceller(store) for store in stores),
        )
        while self.stores[0].settle(SYSTEM, limit=500):
            pass

    def check(self) -> None:
        store = self.stores[0]
        assert max(self.claimed.values(), default=1) == 1, "claimed twice"
        assert max(Counter(self.accepted).values(), default=1) == 1, "accepted twice"
        assert not self.finished & set(self.accepted), "finish and cancel both won"
        for job_id in self.ids:
            history = moves(store, job_id)
            assert (Move.CLAIM in history) is (job_id in self.claimed)
            if job_id in set(self.accepted):
                assert history in (
                    ["submit", "cancel", "settle"],
                    ["submit", "claim", "cancel", "settle"],
                )


def test_four_claimers_against_four_cancellers(make_store: Callable[[], Store]) -> None:
    stores = [make_store() for _ in range(4)]
    stores[0].add_user("ada", "hash", frozenset())
    accepted = claimed = 0
    for seed in range(ROUNDS):
        race = Round(stores, seed)
        race.run()
        race.check()
        accepted += len(race.accepted)
        claimed += len(race.claimed)
    name = type(stores[0]).__name__.removesuffix("Store")
    show(
        f"{name}: {ROUNDS} rounds of {JOBS} jobs: {claimed} claimed, {accepted} cancels "
        "accepted, all of them CANCELLED, none claimed after its cancel"
    )
    assert accepted
    assert claimed


pytestmark = pytest.mark.timeout(120 + 10 * ROUNDS)
