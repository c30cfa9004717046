"""What each of the chart's users may do and may not, tried for real on a broker with its ACLs."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest

from services.certificates import Authority
from services.streams.clients import client_config
from tests.strimzi import attempts
from tests.strimzi.attempts import OK, outcome, rejection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services.streams.clients import Config
    from tests.strimzi.identity import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.kubernetes]

TRANSACTIONS = "queueing.transactions"
LEGIT, FRAUD, DEAD = (
    f"streaming.transactions.{name}" for name in ("legit", "fraud", "dead-letters")
)
TOPICS = [TRANSACTIONS, LEGIT, FRAUD, DEAD]
OUTPUTS = {LEGIT, FRAUD, DEAD}
USERS = ["generator", "detector", "tail", "tester", "console"]
NO_TOPIC, NO_GROUP = "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"
NO_ID, NO_CLUSTER = "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"
# A topic that the user knows of, as one joins a group for a topic.
KNOWN = {
    "generator": TRANSACTIONS,
    "detector": TRANSACTIONS,
    "tail": LEGIT,
    "tester": LEGIT,
    "console": FRAUD,
}
HOUR = timedelta(hours=1)


class Right(NamedTuple):
    """An attempt, who succeeds with it, and what all others are told."""

    attempt: Callable[..., None]
    what: str
    who: set[str]
    otherwise: str


RIGHTS = [
    Right(attempts.write, TRANSACTIONS, {"generator", "tester"}, NO_TOPIC),
    *(Right(attempts.write, topic, {"detector"}, NO_TOPIC) for topic in sorted(OUTPUTS)),
    Right(attempts.write, "other", set(), NO_TOPIC),
    Right(attempts.read, TRANSACTIONS, {"detector"}, NO_TOPIC),
    *(Right(attempts.read, topic, {"tail", "tester"}, NO_TOPIC) for topic in (LEGIT, DEAD)),
    Right(attempts.read, FRAUD, {"tail", "tester", "console"}, NO_TOPIC),
    Right(attempts.join, "fraud-detector", {"detector"}, NO_GROUP),
    Right(attempts.join, "fraud-detector-2", set(), NO_GROUP),
    Right(attempts.join, "fraud-tail-1", {"tail"}, NO_GROUP),
    # Named by the client of `helm test`, which does without.
    Right(attempts.join, "fraud-round-trip-1", set(), NO_GROUP),
    Right(attempts.join, "fraud-console-1", set(), NO_GROUP),
    Right(attempts.join, "other", set(), NO_GROUP),
    Right(attempts.describe_group, "fraud-detector", {"detector"}, NO_GROUP),
    Right(attempts.describe_group, "fraud-tail-1", {"tail"}, NO_GROUP),
    # Each client looks for the coordinator of the group that it has to name.
    Right(attempts.describe_group, "fraud-console-1", {"console"}, NO_GROUP),
    Right(attempts.describe_group, "fraud-round-trip-1", {"tester"}, NO_GROUP),
    Right(attempts.describe_group, "other", set(), NO_GROUP),
    Right(attempts.transact, "fraud-detector-0", {"detector"}, NO_ID),
    Right(attempts.transact, "fraud-detector", set(), NO_ID),
    Right(attempts.transact, "other", set(), NO_ID),
    # Asked for with the right to see a topic, which comes with any other.
    Right(attempts.find_times, TRANSACTIONS, {"generator", "detector", "tester"}, NO_TOPIC),
    *(
        Right(attempts.find_times, topic, {"detector", "tail", "tester"}, NO_TOPIC)
        for topic in (LEGIT, DEAD)
    ),
    Right(attempts.find_times, FRAUD, {"detector", "tail", "tester", "console"}, NO_TOPIC),
    Right(attempts.create_topic, "other", set(), NO_TOPIC),
    *(
        Right(attempt, topic, set(), NO_TOPIC)
        for attempt in (
            attempts.delete_topic,
            attempts.widen_topic,
            attempts.alter_topic,
            attempts.delete_records,
        )
        for topic in TOPICS
    ),
    *(
        Right(attempts.delete_group, group, set(), NO_GROUP)
        for group in ("fraud-detector", "fraud-tail-1")
    ),
    Right(attempts.grant, "User:CN=tail", set(), NO_CLUSTER),
]


@pytest.fixture(scope="module")
def configs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Config]:
    """How each user connects."""
    folder = tmp_path_factory.mktemp("users")
    return {user: client_config(cluster.settings(user, folder / user), "tests") for user in USERS}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("right", RIGHTS, ids=lambda r: f"{r.attempt.__name__} {r.what}")
def test_a_user_may_do_what_is_its_own_and_nothing_else(
    configs: dict[str, Config], right: Right, user: str
) -> None:
    known = {"topic": KNOWN[user]} if right.attempt is attempts.join else {}
    found = outcome(partial(right.attempt, configs[user], right.what, **known))
    assert found == (OK if user in right.who else right.otherwise)


@pytest.mark.parametrize(
    ("user", "topic"),
    [("generator", TRANSACTIONS), ("detector", LEGIT), ("tester", TRANSACTIONS)],
)
def test_who_writes_may_do_so_idempotently(
    configs: dict[str, Config], user: str, topic: str
) -> None:
    attempts.write(configs[user] | {"enable.idempotence": True}, topic)


@pytest.mark.parametrize(
    ("user", "topics", "group"),
    [
        ("generator", {TRANSACTIONS}, None),
        ("detector", {TRANSACTIONS, *OUTPUTS}, "fraud-detector"),
        ("tail", OUTPUTS, "fraud-tail-1"),
        ("tester", {TRANSACTIONS, *OUTPUTS}, None),
        ("console", {FRAUD}, None),
    ],
)
def test_a_user_is_told_of_nothing_else(
    configs: dict[str, Config], user: str, topics: set[str], group: str | None
) -> None:
    attempts.join(configs["detector"], "fraud-detector", TRANSACTIONS)
    attempts.join(configs["tail"], "fraud-tail-1", LEGIT)
    assert attempts.seen_topics(configs[user]) == topics
    assert attempts.seen_groups(configs[user]) == ({group} if group else set())


def test_a_client_that_shows_no_certificate_is_refused(configs: dict[str, Config]) -> None:
    config = {k: v for k, v in configs["detector"].items() if k not in _SHOWN}
    # Java from 19 on says that one is required, older ones that it is bad.
    assert re.search(r"SSL alert number (116|42)\b", rejection(config))


def test_a_certificate_of_a_stranger_is_refused(configs: dict[str, Config], tmp_path: Path) -> None:
    pair = Authority.new("clients-ca v0", HOUR).issue("detector", HOUR)
    (tmp_path / "user.crt").write_bytes(pair.certificate)
    (tmp_path / "user.key").write_bytes(pair.key)
    shown = dict(zip(_SHOWN, (str(tmp_path / "user.crt"), str(tmp_path / "user.key")), strict=True))
    said = rejection({**configs["detector"], **shown})
    assert re.search(r"SSL alert number (46|48)\b", said), said  # unknown, or of an unknown CA


def test_a_client_without_tls_is_refused(configs: dict[str, Config]) -> None:
    plain: Config = {"bootstrap.servers": configs["detector"]["bootstrap.servers"]}
    assert "Broker transport failure" in rejection(plain)
    assert rejection(configs["detector"]) == OK


def test_the_authority_of_clients_is_none_of_brokers(
    configs: dict[str, Config], cluster: Cluster
) -> None:
    clients = cluster.secret("detector")["ca.crt"].decode()
    said = rejection({**configs["detector"], "ssl.ca.pem": clients})
    assert "certificate verify failed" in said


_SHOWN = ("ssl.certificate.location", "ssl.key.location")
