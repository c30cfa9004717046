"""What the pods themselves say of the rules they have, and which of them to poke.

Pure: pods as the API gives them and answers of `/ruleset` come in. A kubelet may
take a minute to refresh a mounted ConfigMap; an annotation on the pod makes it
look at once (see docs/architecture.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Whose name is read by kubelet alone: any change of the pod makes it look at the mounts.
POKE_ANNOTATION = "frauddetection.io/ruleset"
# The port that the chart names so in the detector's pod.
STATUS_PORT = "status"
# A poke may overtake the ConfigMap on its way to kubelet. Poke again after so many seconds, more
# and more seldom; after a minute kubelet looks by itself.
POKE_AGAIN_SECONDS = (2.0, 4.0, 8.0, 16.0, 32.0, 60.0)


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """A detector's pod that runs: where it answers, and the last poke."""

    pod: str
    uid: str
    url: str
    poked: str


class Short(msgspec.Struct, frozen=True):
    """A partition whose log began too late for the windows, which are exact again from then on."""

    partition: int
    until: str


class Windows(msgspec.Struct, frozen=True):
    """What a detector tells of its windows."""

    short: tuple[Short, ...] = ()


class Keying(msgspec.Struct, frozen=True):
    """What a detector's KEYED_BY is, and how the keys that it looked at fit that."""

    field: str = ""
    sampled: int = 0
    mismatched: int = 0


class Recent(msgspec.Struct, frozen=True):
    """How often rules matched on a detector since a time of the last hour (epoch seconds).

    By rule, and by the mode that the rule had.
    """

    since: float
    matches: dict[str, dict[str, int]]


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """A detector's `/ruleset`: the hash of what is in force, and that of each rule in it.

    `pending` is the hash of what it has read and not yet in force, and
    `warming` are the rules of that which wait for their windows. A detector
    of an older version does not tell of `recent` matches.
    """

    hash: str
    in_force: dict[str, str]
    pending: str | None = None
    warming: tuple[str, ...] = ()
    windows: Windows = Windows()
    keying: Keying = Keying()
    recent: Recent | None = None


class _LeastPage(msgspec.Struct, frozen=True, rename="camel"):
    """What a page has to have."""

    hash: str
    in_force: dict[str, str]


# Of so many rules that a detector lacks each is told; of more, only that they are many.
MOST_MISSING = 50
MANY = "*"
# So many partitions of a detector are told of by number.
MOST_PARTITIONS = 10

# A page, or in words why there is none.
Answer = Page | str


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How one detector stands, for people.

    `state` is Current, Warming, Stale, Silent or OtherSettings. Of the rules
    that it is missing it is `warming` some: it builds their windows.
    """

    pod: str
    state: str
    hash: str
    missing: tuple[str, ...]
    message: str
    warming: tuple[str, ...] = ()


class Doubt(NamedTuple):
    """Why windows may not be exact: the reason for machines, and the words for people."""

    reason: str
    said: str


class Poked(msgspec.Struct, frozen=True):
    """The last poke of a pod: for which ruleset, when (monotonic seconds), and how many so far."""

    hash: str
    at: float
    times: int


def detectors(pods: Iterable[Mapping[str, Any]]) -> list[Detector]:
    """Pick the pods that run and are to stay, in the order of their names."""
    running = [
        pod
        for pod in pods
        if pod.get("status", {}).get("phase") == "Running"
        and pod["status"].get("podIP")
        and not pod["metadata"].get("deletionTimestamp")
    ]
    found = (_detector(pod) for pod in running)
    return sorted((d for d in found if d is not None), key=lambda d: d.pod)


def _detector(pod: Mapping[str, Any]) -> Detector | None:
    ports = [
        port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("name") == STATUS_PORT
    ]
    if not ports:
        return None
    address = pod["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    return Detector(
        pod=pod["metadata"]["name"],
        uid=pod["metadata"]["uid"],
        url=f"http://{host}:{ports[0]}/ruleset",
        poked=(pod["metadata"].get("annotations") or {}).get(POKE_ANNOTATION, ""),
    )


def read_page(body: bytes) -> Answer:
    """Read what a detector answered.

    What a page may have beside its rules does not count where it cannot be
    read: a detector of another version has the rules all the same.
    """
    try:
        return msgspec.json.decode(body, type=Page)
    except (ValueError, RecursionError) as error:
        try:
            least = msgspec.json.decode(body, type=_LeastPage)
        except (ValueError, RecursionError):
            return f"its /ruleset is none: {error}"
    return Page(least.hash, least.in_force)


def report(
    detector: Detector, answer: Answer, rules: Mapping[str, str], ruleset: str, keyed_by: str
) -> Report:
    """Compare what a detector has with what it should have.

    Args:
        detector: which one.
        answer: its page, or why there is none.
        rules: the hash of each rule that should be in force, by name.
        ruleset: the hash of all of them with the operator's schema and threshold.
        keyed_by: the operator's.

    """
    if isinstance(answer, str):
        return Report(
            pod=detector.pod, state="Silent", hash="", missing=tuple(sorted(rules)), message=answer
        )
    has = answer.in_force
    missing = tuple(sorted(name for name in rules if has.get(name) != rules[name]))
    extra = sorted(has.keys() - rules.keys())
    warming = tuple(name for name in missing if name in answer.warming)
    if answer.pending is not None and answer.pending != ruleset:
        warming = ()  # those are of an older ruleset than the one it is to have
    state, message = "Current", ""
    if warming and warming == missing and not extra:
        state, message = "Warming", "it builds windows from the log"
    elif missing or extra:
        state, message = "Stale", "it still has an older ruleset"
    elif answer.hash != ruleset:
        state = "OtherSettings"
        message = "its SCORE_THRESHOLD or schema is not the operator's"
    if answer.keying.field not in {"", keyed_by}:
        state = "OtherSettings" if state == "Current" else state
        message = f"its KEYED_BY is {answer.keying.field}, and the operator's {keyed_by}"
    return Report(
        pod=detector.pod,
        state=state,
        hash=answer.hash,
        missing=missing,
        message=message,
        warming=warming,
    )


def doubts(detector: Detector, answer: Answer) -> list[Doubt]:
    """Say why windows on a detector may not be exact; nothing where they are."""
    if isinstance(answer, str):
        return []
    found = []
    keying = answer.keying
    if keying.mismatched > 0:
        said = f"{_share(keying)} of the keys that {detector.pod} looked at are not {keying.field}"
        found.append(Doubt("WronglyKeyed", said))
    if short := answer.windows.short:
        told = ", ".join(f"{one.partition} until {one.until}" for one in short[:MOST_PARTITIONS])
        more = len(short) - MOST_PARTITIONS
        told += f" and {more} more" if more > 0 else ""
        found.append(Doubt("RetentionTooShort", f"{detector.pod}, partition {told}"))
    return found


def _share(keying: Keying) -> str:
    """A share in per cent with one digit that counts, so that it is not another at each look."""
    share = keying.mismatched / max(keying.sampled, keying.mismatched)
    digits = f"{100 * float(f'{share:.1g}'):.10f}"
    return f"about {digits.rstrip('0').rstrip('.')} %"


def brief(report: Report) -> Report:
    """Shorten what is told of a detector: a ConfigMap holds many pods, but not times many rules."""
    if len(report.missing) <= MOST_MISSING:
        return report
    warming = (MANY,) if report.warming == report.missing else report.warming[:MOST_MISSING]
    return msgspec.structs.replace(report, missing=(MANY,), warming=warming)


def pokes(
    stale: Iterable[Detector], ruleset: str, before: Mapping[str, Poked], now: float
) -> dict[str, Poked]:
    """Say which pods to poke now, by uid.

    A pod is poked once for a ruleset, and again, more and more seldom, while it
    does not take it up.
    """
    due = {}
    for detector in stale:
        last = before.get(detector.uid)
        if last is None or last.hash != ruleset:
            # After a restart of the operator the pod may have been poked for this ruleset before.
            due[detector.uid] = Poked(ruleset, now, _times(detector.poked, ruleset) + 1)
        elif now - last.at >= POKE_AGAIN_SECONDS[min(last.times, len(POKE_AGAIN_SECONDS)) - 1]:
            due[detector.uid] = Poked(ruleset, now, last.times + 1)
    return due


def _times(value: str, ruleset: str) -> int:
    """Read back from a pod's annotation how often it was poked for a ruleset."""
    name, _, times = value.partition(".")
    if name != ruleset:
        return 0
    return int(times) if times.isdecimal() else 1


def poke_value(poked: Poked) -> str:
    """Give the annotation's value: another for each poke, or it would change nothing."""
    return poked.hash if poked.times == 1 else f"{poked.hash}.{poked.times}"
