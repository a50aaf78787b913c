"""Generated queries against a plain filter in Python over the same rows, on both stores.

Each query is made as text, with hostile texts in every place that takes a value, beside what it
means in Python, which knows nothing of trees, filters or SQL. Planted faults show that the
comparison finds them.
"""

import itertools
import operator
import os
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rescind import selection
from rescind.lifecycle import Status
from rescind.model import Found, Job
from rescind.selection import Operator
from rescind.store.protocol import Store
from rescind.store.sql import filters
from rescind.vql import parser, planner, tree
from rescind.vql.targets import Field
from store import harness

QUERIES = int(os.environ.get("QUERIES", "2000"))
"""On each store."""

HOSTILE = [
    *("it's", "''", "'", "\\", "\\'", "\\\\", "100%", "%", "_", "a_b", "a%b", "a*b?", "[x]"),
    *("[^x]", "*", "?", "]", "'; DROP TABLE job; --", "' OR '1'='1", '"q"', "a", "A", "b"),
    *("\u00fc", "\u00dc", "\U0001f600", "\uffff", "e\u0301", "line\nfeed", "\n", "\n\n", "tab\t"),
    *("\t", " ", "null", "true", "TODAY", ":value_0", "%(value_0)s", "%s", "{where}"),
    *("-- if since", "/* */", "$1", "?1", "x" * 300, "AND"),
]
Row = dict[str, Any]
Holds = Callable[[Row], bool]

TEXTS = ["job_title__sys", "job_metadata__sys", "status__sys", "unique_key__sys", "worker__sys"]
NUMBERS = ["id", "created_by__sys", "priority__sys"]
INSTANTS = [
    *("created_date__sys", "run_date__sys", "queue_date__sys", "start_date__sys"),
    "finish_date__sys",
]
SYMBOLS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def row_of(job: Job) -> Row:
    return {
        "id": job.id,
        "job_name__sys": job.job_metadata,
        "job_metadata__sys": job.job_metadata,
        "job_type__sys": "python_job",
        "job_title__sys": job.title,
        "status__sys": job.status.value,
        "created_by__sys": job.created_by,
        "created_date__sys": job.created_at,
        "queue_date__sys": job.queued_at,
        "run_date__sys": job.run_at,
        "start_date__sys": job.started_at,
        "finish_date__sys": job.finished_at,
        "priority__sys": job.priority,
        "unique_key__sys": job.unique_key,
        "rerun_of__sys": None,
        "worker__sys": job.worker,
    }


class Generator:
    """Makes queries: their text, and what they mean."""

    def __init__(self, rows: list[Row], seed: int) -> None:
        self.random = random.Random(seed)
        self.rows = rows
        self.today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def quoted(self, text: str, *, pattern: bool = False) -> str:
        """A text in quotes, each character that may be escaped in one of its ways."""
        ways = {
            "'": ["\\'", "''"],
            "\\": ["\\\\"],
            "\n": ["\\n", "\n"],
            "\t": ["\\t", "\t"],
            '"': ['"', '\\"'],
            "*": ["*", "\\*"],
            "%": ["\\%"] if pattern else ["%", "\\%"],
        }
        return "".join(self.random.choice(ways.get(char, [char])) for char in text)

    def some_text(self) -> str:
        texts = [row[name] for row in self.rows for name in TEXTS if row[name] is not None]
        return str(self.random.choice([self.random.choice(texts), self.random.choice(HOSTILE)]))

    def value(self, field: str) -> tuple[str, Any]:
        """A value for a field, written and as it is."""
        if field in NUMBERS:
            number = self.random.choice([*(row[field] for row in self.rows), -1, 0, 2**62])
            return self.random.choice([f"{number}", f"'{number}'"]), number
        if field in INSTANTS:
            known = [row[field] for row in self.rows if row[field] is not None]
            step = timedelta(milliseconds=self.random.choice([-1, 0, 0, 1, 86_400_000]))
            instant = self.random.choice([*known, self.today]) + step
            return f"'{instant.strftime('%Y-%m-%dT%H:%M:%S.%f')[:23]}Z'", instant
        text = self.some_text()
        return f"'{self.quoted(text)}'", text

    def condition(self, depth: int, *, free: bool) -> tuple[str, Holds]:
        """A condition, and whether it holds for a row."""
        kinds = ["compare"] * 4 + ["null", "between", "contains", "like", "days"]
        if depth < 4:
            kinds += ["and", "or"] * 2 + ["not"] * free
        return getattr(self, f"_{self.random.choice(kinds)}")(depth, free)  # type: ignore[no-any-return]

    def _field(self) -> str:
        return self.random.choice([*TEXTS, *NUMBERS, *INSTANTS])

    def _compare(self, _depth: int, _free: bool) -> tuple[str, Holds]:
        field, symbol = self._field(), self.random.choice([*SYMBOLS])
        written, value = self.value(field)

        def holds(row: Row) -> bool:
            has = row[field]
            return symbol == "!=" if has is None else SYMBOLS[symbol](has, value)

        return f"{field} {symbol} {written}", holds

    def _null(self, _depth: int, _free: bool) -> tuple[str, Holds]:
        field, symbol = self._field(), self.random.choice(["=", "!="])
        return f"{field} {symbol} null", lambda row: (row[field] is None) is (symbol == "=")

    def _between(self, _depth: int, _free: bool) -> tuple[str, Holds]:
        field = self._field()
        (first, least), (last, most) = self.value(field), self.value(field)

        def holds(row: Row) -> bool:
            return row[field] is not None and least <= row[field] <= most

        return f"{field} BETWEEN {first} AND {last}", holds

    def _contains(self, _depth: int, _free: bool) -> tuple[str, Holds]:
        field = self._field()
        some = [self.value(field) for _ in range(self.random.randint(1, 4))]
        if self.random.random() < 0.3:
            some.append(("null", None))
        values = [value for _, value in some]
        return f"{field} CONTAINS ({', '.join(text for text, _ in some)})", (
            lambda row: row[field] in values
        )

    def _like(self, _depth: int, free: bool) -> tuple[str, Holds]:
        field = self.random.choice(TEXTS)
        whole = self.some_text()
        cut = sorted(self.random.randint(0, len(whole)) for _ in range(self.random.randint(0, 3)))
        ends = [0, *cut, len(whole)]
        pieces = [whole[a:b] for a, b in itertools.pairwise(ends)]
        if self.random.random() < 0.5:
            pieces[self.random.randrange(len(pieces))] = ""
        if len(pieces) > 1 and not pieces[0] and not free:
            pieces[0] = "a"
        text = "%".join(self.quoted(piece, pattern=True) for piece in pieces)

        def holds(row: Row) -> bool:
            return row[field] is not None and fits(row[field], pieces)

        return f"{field} LIKE '{text}'", holds

    def _days(self, _depth: int, _free: bool) -> tuple[str, Holds]:
        field, symbol = self.random.choice(INSTANTS), self.random.choice([*SYMBOLS])
        days, day = self.random.randint(0, 3), timedelta(days=1)
        word, first, after = self.random.choice(
            [
                ("TODAY", self.today, self.today + day),
                (f"LAST_DAYS:{days}", self.today - days * day, self.today + day),
                (f"NEXT_DAYS:{days}", self.today + day, self.today + (days + 1) * day),
                (f"DAYS_AGO:{days}", self.today - days * day, self.today - (days - 1) * day),
            ]
        )

        def holds(row: Row) -> bool:
            has = row[field]
            if has is None:
                return symbol == "!="
            where = -1 if has < first else 1 if has >= after else 0
            return SYMBOLS[symbol](where, 0)

        return f"{field} {symbol} {word}", holds

    def _joined(self, depth: int, free: bool) -> tuple[list[str], list[Holds]]:
        count = self.random.randint(2, 4)
        parts = [self.condition(depth + 1, free=free) for _ in range(count)]
        return [f"({text})" for text, _ in parts], [holds for _, holds in parts]

    def _and(self, depth: int, free: bool) -> tuple[str, Holds]:
        texts, all_of = self._joined(depth, free)
        return " AND ".join(texts), lambda row: all(holds(row) for holds in all_of)

    def _or(self, depth: int, free: bool) -> tuple[str, Holds]:
        texts, any_of = self._joined(depth, free)
        return " or ".join(texts), lambda row: any(holds(row) for holds in any_of)

    def _not(self, depth: int, free: bool) -> tuple[str, Holds]:
        text, holds = self.condition(depth + 1, free=free)
        return f"NOT ({text})", lambda row: not holds(row)

    def query(self) -> tuple[str, list[int]]:
        """A query, and the ids that it answers with, in order."""
        target = self.random.choice(
            ["job__sys", "job__sys", "job_instance__sys", "job_history__sys"]
        )
        rows = [
            row
            for row in self.rows
            if target == "job__sys"
            or (row["finish_date__sys"] is None) is (target == "job_instance__sys")
        ]
        known = {
            "job__sys": {*TEXTS, *NUMBERS, *INSTANTS},
            "job_instance__sys": {*TEXTS[:3], "id", "created_by__sys", *INSTANTS[1:3]},
            "job_history__sys": {*TEXTS[:3], "id", "queue_date__sys", *INSTANTS[3:]},
        }[target]
        while True:
            where, holds = self.condition(0, free=target == "job__sys")
            used = {name for name in (*TEXTS, *NUMBERS[1:], *INSTANTS) if f"{name} " in where}
            if used <= known:
                break
        order = self.random.sample(sorted(known), self.random.randint(0, 2))
        found = sorted((row for row in rows if holds(row)), key=lambda row: row["id"])
        clauses: list[str] = []
        for field in reversed(order):
            down = self.random.random() < 0.5
            clauses.insert(0, f"{field} {'DESC' if down else self.random.choice(['ASC', ''])}")
            empty = [row for row in found if row[field] is None]
            full = [row for row in found if row[field] is not None]
            full.sort(key=lambda row: row[field], reverse=down)  # what is alike keeps its order
            found = full + empty if down else empty + full
        text = f"SELECT id FROM {target} WHERE {where}"
        text += f" ORDER BY {', '.join(clauses)}" if clauses else ""
        skip, most = self.random.choice([0, 0, 1, 3]), self.random.choice([None, None, 2, 10])
        text += f" SKIP {skip}" if skip else ""
        text += "" if most is None else f" MAXROWS {most}"
        ids = [row["id"] for row in found][skip:]
        return text, ids if most is None else ids[:most]


def fits(text: str, pieces: Sequence[str]) -> bool:
    """Whether a text begins and ends with the outer pieces, and has the others between."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, *between, last = pieces
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    text = text[len(first) : len(text) - len(last)]
    for piece in between:
        at = text.find(piece)
        if at < 0:
            return False
        text = text[at + len(piece) :]
    return True


def answer_of(store: Store, text: str) -> Found:
    statement = parser.parse(text)
    assert isinstance(statement, tree.Query)
    planned = planner.plan(text, statement, datetime.now(UTC))
    return store.select(
        planned.selection,
        [],
        skip=planned.skip,
        rows_max=planned.rows_max,
        limit=planned.page_size,
        offset=planned.page_offset,
        seconds=60,
    )


@pytest.fixture
def rows(store: Store) -> list[Row]:
    """Jobs in every status, with hostile titles and unique keys."""
    ids: list[int] = []
    statuses = [status for status in Status if status is not Status.FAILED_TO_RUN]
    for number, title in enumerate(HOSTILE):
        key = None if number % 3 else title
        metadata = harness.metadata(name=f"job {number % 4} {HOSTILE[number % 7]}")
        job = harness.new_job(
            metadata=metadata, title=title, unique_key=key, priority=1 + number % 5
        )
        ids.append(harness.place(store, statuses[number % len(statuses)], job))
    ids.append(harness.scheduled(store, 2 * 86_400))
    ids.append(harness.scheduled(store, 86_400))
    return [row_of(harness.row(store, job_id)) for job_id in ids]


def differences(store: Store, rows: list[Row], seed: int, count: int) -> Iterator[str]:
    """The queries that are answered otherwise than they should be."""
    generator = Generator(rows, seed)
    for _ in range(count):
        text, expected = generator.query()
        found = answer_of(store, text)
        if (found.total, [row["id"] for row in found.rows]) != (len(expected), expected):
            yield text


def test_generated_queries_find_what_a_plain_filter_finds(store: Store, rows: list[Row]) -> None:
    assert next(differences(store, rows, 7, QUERIES), None) is None


Patch = pytest.MonkeyPatch


def _swap_operators(patch: Patch) -> None:
    whole = planner._compare
    other: dict[Operator, Operator] = {Operator.LT: Operator.LE, Operator.GE: Operator.GT}

    def swapped(field: Field, symbol: Operator, value: Any) -> selection.Filter:
        return whole(field, other.get(symbol, symbol), value)

    patch.setattr(planner, "_compare", swapped)


def _drop_null_rule(patch: Patch) -> None:
    whole = filters._Writer._comparison

    def without(self: Any, *arguments: Any) -> str:
        return whole(self, *arguments).replace(f"{arguments[0]} IS NULL OR ", "")

    patch.setattr(filters._Writer, "_comparison", without)


def _forget_pattern_escape(patch: Patch) -> None:
    patch.setattr(filters.Dialect, "pattern", property(lambda _self: "%".join))


def _forget_quote_escape(patch: Patch) -> None:
    patch.setattr(parser, "_ESCAPED", {"'": "", "n": "\n", "t": "\t", "r": "\r"})


def _forget_newline_escape(patch: Patch) -> None:
    patch.setattr(parser, "_ESCAPED", {})


def _drop_null_of_contains(patch: Patch) -> None:
    whole = planner._one_of
    patch.setattr(
        planner, "_one_of", lambda f, values: whole(f, tuple(v for v in values if v is not None))
    )


def _or_as_and(patch: Patch) -> None:
    patch.setattr(selection, "Any", selection.All)


def _not_of_null(patch: Patch) -> None:
    whole = filters._Writer.text
    patch.setattr(filters._Writer, "text", lambda self, part, **_: whole(self, part, negated=False))


def _day_too_many(patch: Patch) -> None:
    whole = planner._in_days
    day = timedelta(days=1)
    patch.setattr(planner, "_in_days", lambda f, o, first, after: whole(f, o, first, after + day))


def _nulls_at_the_other_end(patch: Patch) -> None:
    whole = filters._term

    def other(*arguments: Any) -> str:
        text = whole(*arguments)
        swapped = {"FIRST": "LAST", "LAST": "FIRST"}
        *rest, last = text.split(" ")
        return " ".join([*rest, swapped[last]])

    patch.setattr(filters, "_term", other)


def _ids_out_of_order(patch: Patch) -> None:
    patch.setattr(filters, "order_by", lambda *_: "id DESC")


def _like_as_prefix(patch: Patch) -> None:
    patch.setattr(selection, "Like", lambda column, pieces: _Like(column, (*pieces, "")))


_Like = selection.Like


def _field_mixed_up(patch: Patch) -> None:
    whole = planner._Planner._field

    def mixed(self: Any, field: Any, place: str) -> Field:
        found: Field = whole(self, field, place)
        started, finished = selection.Column.STARTED_AT, selection.Column.FINISHED_AT
        if found.column is started:
            return Field(found.type, found.label, finished)
        return found

    patch.setattr(planner._Planner, "_field", mixed)


FAULTS = [
    *(_swap_operators, _drop_null_rule, _forget_pattern_escape, _forget_quote_escape),
    *(_forget_newline_escape, _drop_null_of_contains, _or_as_and, _not_of_null, _day_too_many),
    *(_nulls_at_the_other_end, _ids_out_of_order, _like_as_prefix, _field_mixed_up),
]


@pytest.mark.parametrize("plant", FAULTS)
def test_a_planted_fault_is_found(
    store: Store, rows: list[Row], plant: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    plant(monkeypatch)
    assert next(differences(store, rows, 7, QUERIES), None) is not None


@pytest.mark.parametrize(
    "where",
    [
        " OR ".join(f"id={number}" for number in range(500)),
        " AND ".join(f"id!={number + 10**6}" for number in range(500)),
        f"id CONTAINS ({','.join(map(str, range(8_000)))})",
        f"NOT ({' OR '.join(['job_title__sys = null'] * 500)})",
        f"{'(' * 20_000}id > 0{')' * 20_000}",
    ],
    ids=["or", "and", "contains", "not", "parentheses"],
)
def test_the_longest_queries_are_answered(store: Store, rows: list[Row], where: str) -> None:
    found = answer_of(store, f"SELECT id FROM job__sys WHERE {where}")
    assert found.total >= len(rows) - 1
