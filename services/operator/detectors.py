"""The rules that detectors have according to their own pages, and which mounts need a refresh.

Pure: the input is pods from the API and answers of `/ruleset`. A kubelet may
take a minute to refresh a mounted ConfigMap; an annotation on the pod triggers a
refresh at once (see docs/architecture.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Only kubelet reacts to it: any change of the pod makes it refresh the mounts.
REFRESH_ANNOTATION = "frauddetection.io/ruleset"
# Name of the status port in the chart's detector pods.
STATUS_PORT = "status"
# The annotation may reach kubelet before the ConfigMap does. So it is set again after this many
# seconds, at growing intervals; after a minute kubelet refreshes the mount by itself.
REFRESH_AGAIN_SECONDS = (2.0, 4.0, 8.0, 16.0, 32.0, 60.0)


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """A running detector's pod: its address, and the last annotation that triggers a refresh."""

    pod: str
    uid: str
    url: str
    refreshed: str


class Short(msgspec.Struct, frozen=True):
    """A partition whose windows lack records; they are exact again from `until`, if known."""

    partition: int
    until: str | None = None
    reason: str = "RetentionTooShort"


class Windows(msgspec.Struct, frozen=True):
    """A detector's report on its windows."""

    short: tuple[Short, ...] = ()


class Keying(msgspec.Struct, frozen=True):
    """A detector's KEYED_BY, and the result of comparing keys with that field."""

    field: str = ""
    sampled: int = 0
    mismatched: int = 0


class Recent(msgspec.Struct, frozen=True):
    """Matches of rules on a detector since a time of the last hour (epoch seconds).

    By rule, and by the mode that the rule had.
    """

    since: float
    matches: dict[str, dict[str, int]]


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """A detector's `/ruleset`: hashes of the ruleset in force and of each rule in it.

    `pending` is the hash of the ruleset that it has read and not yet in force, and
    `warming` are the rules of that which wait for their windows. A detector of an
    older version has no `recent` matches.
    """

    hash: str
    in_force: dict[str, str]
    pending: str | None = None
    warming: tuple[str, ...] = ()
    windows: Windows = Windows()
    keying: Keying = Keying()
    recent: Recent | None = None


class _LeastPage(msgspec.Struct, frozen=True, rename="camel"):
    """The required part of a page."""

    hash: str
    in_force: dict[str, str]


# Up to this many missing rules of a detector are named; of more, only the number.
MOST_MISSING = 50
MANY = "*"
# Up to this many partitions of a detector are named.
MOST_PARTITIONS = 10

# A page, or the reason in words why there is none.
Answer = Page | str


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of one detector, for people.

    `state` is Current, Warming, Stale, Silent or OtherSettings. `warming` are those of
    the missing rules whose windows the detector is building.
    """

    pod: str
    state: str
    hash: str
    missing: tuple[str, ...]
    message: str
    warming: tuple[str, ...] = ()


class Doubt(NamedTuple):
    """A reason why windows may not be exact: for machines, and in words for people."""

    reason: str
    said: str


class Refreshed(msgspec.Struct, frozen=True):
    """The last refresh of a pod: for which ruleset, when (monotonic seconds), how many so far."""

    hash: str
    at: float
    times: int


def detectors(pods: Iterable[Mapping[str, Any]]) -> list[Detector]:
    """Select the pods that run and are not being deleted, in the order of their names."""
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
        refreshed=(pod["metadata"].get("annotations") or {}).get(REFRESH_ANNOTATION, ""),
    )


def read_page(body: bytes) -> Answer:
    """Parse a detector's answer.

    Parts of a page beside its rules are ignored if they cannot be parsed: a detector of
    another version still has the rules.
    """
    try:
        return msgspec.json.decode(body, type=Page)
    except (ValueError, RecursionError) as error:
        try:
            least = msgspec.json.decode(body, type=_LeastPage)
        except (ValueError, RecursionError):
            return f"its /ruleset cannot be read: {error}"
    return Page(least.hash, least.in_force)


def report(
    detector: Detector, answer: Answer, rules: Mapping[str, str], ruleset: str, keyed_by: str
) -> Report:
    """Compare the rules of a detector with those it should have.

    Args:
        detector: Detector to report on.
        answer: Its page, or the reason why there is none.
        rules: Hash of each rule that should be in force, by name.
        ruleset: Hash of all of them with the operator's schema and threshold.
        keyed_by: KEYED_BY of the operator.

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
        warming = ()  # the page is about an older ruleset
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
    """Return the reasons why windows on a detector may not be exact."""
    if isinstance(answer, str):
        return []
    found = []
    keying = answer.keying
    if keying.mismatched > 0:
        said = f"{_share(keying)} of the keys that {detector.pod} looked at are not {keying.field}"
        found.append(Doubt("WronglyKeyed", said))
    for reason in sorted({one.reason for one in answer.windows.short}):
        short = [one for one in answer.windows.short if one.reason == reason]
        told = ", ".join(_short(one) for one in short[:MOST_PARTITIONS])
        more = len(short) - MOST_PARTITIONS
        told += f" and {more} more" if more > 0 else ""
        found.append(Doubt(reason, f"{detector.pod}, partition {told}"))
    return found


def _short(one: Short) -> str:
    return f"{one.partition}" if one.until is None else f"{one.partition} until {one.until}"


def _share(keying: Keying) -> str:
    """Format a share in per cent with one significant digit, so that it rarely changes."""
    share = keying.mismatched / max(keying.sampled, keying.mismatched)
    digits = f"{100 * float(f'{share:.1g}'):.10f}"
    return f"about {digits.rstrip('0').rstrip('.')} %"


def brief(report: Report) -> Report:
    """Shorten a report: a ConfigMap has room for many pods, but not for many rules of each."""
    if len(report.missing) <= MOST_MISSING:
        return report
    warming = (MANY,) if report.warming == report.missing else report.warming[:MOST_MISSING]
    return msgspec.structs.replace(report, missing=(MANY,), warming=warming)


def refreshes(
    stale: Iterable[Detector], ruleset: str, before: Mapping[str, Refreshed], now: float
) -> dict[str, Refreshed]:
    """Return the pods whose mounts need a refresh now, by uid.

    A refresh is triggered once for a ruleset, and again at growing intervals while the pod
    does not have it.
    """
    due = {}
    for detector in stale:
        last = before.get(detector.uid)
        if last is None or last.hash != ruleset:
            # Before a restart of the operator, a refresh may already have been triggered.
            due[detector.uid] = Refreshed(ruleset, now, _times(detector.refreshed, ruleset) + 1)
        elif (
            now - last.at >= REFRESH_AGAIN_SECONDS[min(last.times, len(REFRESH_AGAIN_SECONDS)) - 1]
        ):
            due[detector.uid] = Refreshed(ruleset, now, last.times + 1)
    return due


def _times(value: str, ruleset: str) -> int:
    """Parse, from a pod's annotation, how often a refresh was triggered for a ruleset."""
    name, _, times = value.partition(".")
    if name != ruleset:
        return 0
    return int(times) if times.isdecimal() else 1


def refresh_value(refreshed: Refreshed) -> str:
    """Return the annotation's value: different each time, because only a change has an effect."""
    return refreshed.hash if refreshed.times == 1 else f"{refreshed.hash}.{refreshed.times}"
