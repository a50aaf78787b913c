"""Users and sessions."""

from rescind.store.protocol import Store

HASH = b"\x01" * 32


def test_a_name_is_given_once_whatever_its_case(store: Store) -> None:
    user_id = store.add_user("Grace", "secret", frozenset({"jobs_read"}))
    assert user_id is not None
    assert store.add_user("grace", "other", frozenset()) is None
    found = store.user_by_name("GRACE")
    assert found is not None
    user, password_hash = found
    assert (user.id, user.name, user.active) == (user_id, "Grace", True)
    assert user.permissions == {"jobs_read"}
    assert password_hash == "secret"


def test_the_system_is_no_user_that_can_be_listed(store: Store) -> None:
    assert [user.name for user in store.users()] == ["ada"]
    system = store.user_by_name("System")
    assert system is not None
    assert system[1] is None


def test_a_session_lives_while_it_is_used(store: Store) -> None:
    assert store.open_session(2, HASH, password_hash="hash")
    session = store.session(HASH, inactive_seconds=60)
    assert session is not None
    assert session.user.name == "ada"
    store.touch_session(HASH)
    touched = store.session(HASH, inactive_seconds=60)
    assert touched is not None
    assert touched.seen_at >= session.seen_at
    assert store.session(b"\x02" * 32, inactive_seconds=60) is None


def test_a_session_ends_by_inactivity(store: Store) -> None:
    assert store.open_session(2, HASH, password_hash="hash")
    assert store.session(HASH, inactive_seconds=-120) is None


def test_a_session_ends_when_it_is_closed(store: Store) -> None:
    assert store.open_session(2, HASH, password_hash="hash")
    store.close_session(HASH)
    assert store.session(HASH, inactive_seconds=60) is None


def test_a_session_opens_only_for_the_password_that_was_verified(store: Store) -> None:
    store.set_password(2, "new")
    assert not store.open_session(2, HASH, password_hash="hash")
    store.set_active(2, False)
    assert not store.open_session(2, HASH, password_hash="new")
    store.set_active(2, True)
    assert store.open_session(2, HASH, password_hash="new")


def test_disabling_a_user_or_changing_the_password_ends_every_session(store: Store) -> None:
    assert store.open_session(2, HASH, password_hash="hash")
    store.set_active(2, False)
    assert store.session(HASH, inactive_seconds=60) is None
    store.set_active(2, True)
    assert store.session(HASH, inactive_seconds=60) is None
    assert store.open_session(2, HASH, password_hash="hash")
    store.set_password(2, "new")
    assert store.session(HASH, inactive_seconds=60) is None


def test_a_hash_is_made_anew_only_in_place_of_the_one_it_was_made_of(store: Store) -> None:
    user_id = store.add_user("bob", "old", frozenset())
    assert user_id is not None
    assert not store.rehash_password(user_id, "another", "new")
    assert store.open_session(user_id, b"session", password_hash="old")
    assert store.rehash_password(user_id, "old", "new")
    found = store.user_by_name("bob")
    assert found is not None
    assert found[1] == "new"
    assert store.session(b"session", inactive_seconds=60.0) is not None, "nobody is signed out"
    assert not store.rehash_password(user_id, "old", "newer")
