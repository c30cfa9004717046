from __future__ import annotations

from confluent_kafka import KafkaError, TopicPartition

from services.streams.undeliverable import Undeliverables
from services.transactions import Reason

TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
PLACE = (3, 17)


def test_parts_are_left_out_one_after_the_other_until_nothing_is_left() -> None:
    undeliverable = Undeliverables()
    forms = []
    while form := undeliverable.reject(PLACE, TOO_LARGE):
        assert form.rejection.reason is Reason.OUTPUT_REFUSED
        assert "MSG_SIZE_TOO_LARGE" in form.rejection.detail
        forms.append(form.left_out)
    assert forms == [
        (),
        ("value",),
        ("value", "headers"),
        ("value", "headers", "key"),
    ]


def test_a_refused_timestamp_is_left_out_first() -> None:
    undeliverable = Undeliverables()
    error = KafkaError(KafkaError.INVALID_TIMESTAMP)
    forms = [undeliverable.reject(PLACE, error) for _ in range(2)]
    assert [form and form.left_out for form in forms] == [(), ("timestamp",)]


def test_what_the_client_cannot_write_is_named() -> None:
    form = Undeliverables().reject(PLACE, OverflowError("int too big to convert"))
    assert form is not None
    assert "int too big to convert" in form.rejection.detail


def test_records_are_forgotten_once_they_are_committed() -> None:
    undeliverable = Undeliverables()
    undeliverable.reject(PLACE, TOO_LARGE)
    undeliverable.committed([TopicPartition("t", 3, 17)])
    assert PLACE in undeliverable
    undeliverable.committed([TopicPartition("t", 3, 18), TopicPartition("t", 4, 1)])
    assert not undeliverable
