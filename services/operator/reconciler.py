"""The reconcile loop: it changes the cluster from its current to its desired state.

Level-triggered: a reconcile reads all FraudRules, the pods and the ConfigMaps from
the API, asks the detectors, and computes everything else from that. An event only
triggers a reconcile; the next one makes up for a missed event.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import httpx2
import msgspec
import structlog

from services.operator.conditions import Reach, desired_status, news
from services.operator.detectors import (
    REFRESH_ANNOTATION,
    Answer,
    Detector,
    Doubt,
    Refreshed,
    Report,
    brief,
    detectors,
    doubts,
    read_page,
    refresh_value,
    refreshes,
    report,
)
from services.operator.matches import add_up, matches_status
from services.operator.rule_metrics import RuleMetrics
from services.telemetry import Heartbeat, metrics
from services.telemetry.fetching import PageTooLargeError, fetch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from services.operator.conditions import Condition
    from services.operator.matches import Counted
    from services.operator.rulebook import Rulebook, Standing

log = structlog.get_logger()

RULES_KEY = "ruleset.json"
DETECTORS_KEY = "detectors.json"

# Events come in bursts; a reconcile waits this long for the rest of a burst.
GATHER_SECONDS = 0.05
# During a rollout the detectors are asked at this interval; at a longer one once the rollout takes
# longer than a refresh of the mounts.
ASK_OFTEN_SECONDS = 0.1
ASK_SELDOM_SECONDS = 1.0
OFTEN_FOR_SECONDS = 10.0
# Without changes: intervals of asking the detectors, and of reading everything without an event.
SETTLED_SECONDS = 5.0
READ_AGAIN_SECONDS = 30.0
# A reconcile takes seconds at most; if the API server cannot be reached it ends with an error.
STANDSTILL_SECONDS = 60.0
# Pause after an error of the API.
RETRY_SECONDS = 1.0
# A detector answers in milliseconds. One that does not must not delay the refreshes of the others:
# limits for each step of an answer, and for all of it.
ANSWER_SECONDS = 0.5
PAGE_SECONDS = 1.0
# Number of concurrent writes.
WRITERS = 8


class Api(Protocol):
    """The part of the cluster that a reconcile needs; see `services.operator.cluster`."""

    @property
    def owns(self) -> bool:
        """True if the ConfigMaps belong to a ServiceAccount, with which they are deleted."""

    async def rules(self) -> list[dict[str, Any]]:
        """List the FraudRules."""

    async def pods(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        """List the pods with these labels."""

    async def config_map(self, name: str) -> dict[str, str] | None:
        """Read a ConfigMap's data."""

    async def apply_config_map(self, name: str, data: dict[str, str]) -> None:
        """Create a ConfigMap with this data, or update it."""

    async def apply_status(self, name: str, status: dict[str, Any]) -> bool:
        """Set the status of a FraudRule."""

    async def annotate_pod(self, name: str, key: str, value: str) -> bool:
        """Set an annotation of a pod."""

    async def tell(self, rule: dict[str, Any], condition: Condition) -> None:
        """Create an Event about a FraudRule."""


class Seen(msgspec.Struct):
    """Result of the last full read; statuses and annotations are updated by our own writes."""

    rules: list[dict[str, Any]]
    detectors: list[Detector]
    reports: str
    at: float


class Reconciler:
    """Reconciles one namespace.

    Args:
        api: Access to the cluster.
        rulebook: Determines the version of each rule in force.
        rules_config_map: Name of the ConfigMap that detectors mount.
        detectors_config_map: Name of the ConfigMap with the state of the detectors.
        labels: Labels of detectors' pods.
        keyed_by: KEYED_BY that the detectors should have.
        may_write: True if no other operator writes; called before each reconcile.

    """

    def __init__(
        self,
        api: Api,
        rulebook: Rulebook,
        *,
        rules_config_map: str,
        detectors_config_map: str,
        labels: dict[str, str],
        keyed_by: str,
        may_write: Callable[[], bool],
    ) -> None:
        self._keyed_by = keyed_by
        self._may_write = may_write
        self._api = api
        self._rulebook = rulebook
        self._rules_config_map = rules_config_map
        self._detectors_config_map = detectors_config_map
        self._labels = labels
        self._due = asyncio.Event()
        self._seen: Seen | None = None
        self._standings: list[Standing] = []
        self._refreshed: dict[str, Refreshed] = {}
        self._restored = False
        self._moving_since = 0.0
        self._rule_metrics = RuleMetrics()
        self._triggered_at = time.time()
        self.heartbeat = Heartbeat(STANDSTILL_SECONDS)
        self.settled = False
        """True if the last reconcile found nothing to change."""

    @property
    def ready(self) -> bool:
        """True if a reconcile has succeeded since the start."""
        return self._seen is not None

    def trigger(self) -> None:
        """Trigger a reconcile."""
        if not self._due.is_set():
            self._triggered_at = time.time()
        self._due.set()

    async def run(self) -> None:
        """Run for ever; errors are logged, and the reconcile is repeated."""
        async with httpx2.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
            self._due.set()
            while True:
                self.heartbeat.tick()
                if not self._may_write():
                    self._begin_again()
                    await asyncio.sleep(ASK_OFTEN_SECONDS)
                    continue
                try:
                    await self.round(http)
                except Exception as error:  # noqa: BLE001 - the loop survives every error
                    await self._recover(error)
                else:
                    metrics.RECONCILES.labels("ok").inc()
                    await self._wait(self._pause())

    def _begin_again(self) -> None:
        """Forget what was read: another operator may have published other rules meanwhile."""
        self._seen = None
        self._restored = False

    async def round(self, http: httpx2.AsyncClient) -> None:
        """Reconcile once."""
        seen = self._seen
        if seen is None or self._due.is_set() or time.monotonic() - seen.at > READ_AGAIN_SECONDS:
            self._due.clear()
            seen = await self._read()
        answers = await _ask_all(http, seen.detectors)
        hashes, ruleset = self._rulebook.rule_hashes, self._rulebook.hash
        asked = list(zip(seen.detectors, answers, strict=True))
        found = [report(d, a, hashes, ruleset, self._keyed_by) for d, a in asked]
        doubtful = tuple(doubt for d, a in asked for doubt in doubts(d, a))
        uids = {detector.uid for detector in seen.detectors}
        self._refreshed = {
            uid: refreshed for uid, refreshed in self._refreshed.items() if uid in uids
        }
        await self._refresh(
            [d for (d, _), told in zip(asked, found, strict=True) if told.state == "Stale"]
        )
        await self._write_statuses(seen, found, doubtful, add_up(answers))
        await self._write_reports(seen, found, ruleset)
        self.settled = all(r.state in {"Current", "OtherSettings"} for r in found)
        self._seen = seen
        metrics.DETECTORS.labels("all").set(len(found))
        metrics.DETECTORS.labels("current").set(sum(r.state == "Current" for r in found))

    async def _read(self) -> Seen:
        """Read everything, and publish the rules in force."""
        rules, pods, published, reports = await asyncio.gather(
            self._api.rules(),
            self._api.pods(self._labels),
            self._api.config_map(self._rules_config_map),
            self._api.config_map(self._detectors_config_map),
        )
        found = detectors(pods)
        first = not self._restored
        if first:
            self._rulebook.restore((published or {}).get(RULES_KEY, ""))
            self._restored = True
        self._rule_metrics.heard(rules, self._triggered_at)
        # Compiling may take a while, and the webhook has to answer meanwhile.
        self._standings = await asyncio.to_thread(self._rulebook.update, rules)
        wanted = {RULES_KEY: self._rulebook.document()}
        changed = published is None or published.get(RULES_KEY) != wanted[RULES_KEY]
        # The ConfigMap of an earlier version may lack its owner.
        if changed or (first and self._api.owns):
            await self._api.apply_config_map(self._rules_config_map, wanted)
        if changed:
            self._moving_since = time.monotonic()
            log.info(
                "ruleset published",
                ruleset=self._rulebook.hash,
                rules=len(self._rulebook.rule_hashes),
            )
            await self._refresh(found)  # no detector has it yet: asking first would only take time
        return Seen(rules, found, (reports or {}).get(DETECTORS_KEY, ""), time.monotonic())

    async def _refresh(self, stale: list[Detector]) -> None:
        due = refreshes(stale, self._rulebook.hash, self._refreshed, time.monotonic())
        names = {detector.uid: detector.pod for detector in stale}
        await _all(
            self._api.annotate_pod(names[uid], REFRESH_ANNOTATION, refresh_value(refreshed))
            for uid, refreshed in due.items()
        )
        self._refreshed |= due

    async def _write_statuses(
        self,
        seen: Seen,
        found: list[Report],
        doubtful: tuple[Doubt, ...],
        counted: Counted | None,
    ) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        missing = Counter(name for told in found for name in told.missing)
        warming = Counter(name for told in found for name in told.warming)
        writes, reaches = [], []
        for rule, standing in zip(seen.rules, self._standings, strict=True):
            name = standing.name
            applied = len(found) - missing[name] if standing.rule else 0
            before = rule.get("status") or {}
            reach = Reach(applied, len(found), warming[name], doubtful)
            reaches.append(reach)
            status = desired_status(standing, reach, before, now)
            if told := matches_status(name, counted, before.get("matches"), now):
                status["matches"] = told
            if status != before:
                writes.append(self._write_status(rule, status))
        self._rule_metrics.told(zip(seen.rules, self._standings, reaches, strict=True))
        await _all(writes)

    async def _write_status(self, rule: dict[str, Any], status: dict[str, Any]) -> None:
        before = rule.get("status") or {}
        if await self._api.apply_status(rule["metadata"]["name"], status):
            rule["status"] = status
            for condition in news(before, status):
                await self._api.tell(rule, condition)

    async def _write_reports(self, seen: Seen, found: list[Report], ruleset: str) -> None:
        told = msgspec.json.encode({"hash": ruleset, "detectors": [*map(brief, found)]}).decode()
        if told != seen.reports:
            await self._api.apply_config_map(self._detectors_config_map, {DETECTORS_KEY: told})
            seen.reports = told

    def _pause(self) -> float:
        if self.settled:
            return SETTLED_SECONDS
        moving = time.monotonic() - self._moving_since < OFTEN_FOR_SECONDS
        return ASK_OFTEN_SECONDS if moving else ASK_SELDOM_SECONDS

    async def _recover(self, error: Exception) -> None:
        """Log the error, and read everything again: a write may have been lost, or succeeded."""
        metrics.RECONCILES.labels("failed").inc()
        if isinstance(error, httpx2.HTTPError):
            log.warning("API not reached", reason=str(error) or repr(error))
        else:
            log.error("round failed", exc_info=error)
        self._due.set()
        await asyncio.sleep(RETRY_SECONDS)

    async def _wait(self, seconds: float) -> None:
        """Wait until a reconcile is due, and a moment longer for the rest of a burst."""
        try:
            await asyncio.wait_for(self._due.wait(), seconds)
        except TimeoutError:
            return
        await asyncio.sleep(GATHER_SECONDS)


async def _ask_all(http: httpx2.AsyncClient, found: Iterable[Detector]) -> list[Answer]:
    return list(await asyncio.gather(*(_ask(http, detector) for detector in found)))


async def _ask(http: httpx2.AsyncClient, detector: Detector) -> Answer:
    try:
        return read_page(await fetch(http, detector.url, PAGE_SECONDS))
    except TimeoutError:
        return f"does not answer within {PAGE_SECONDS:.0f} s"
    except (httpx2.HTTPError, PageTooLargeError) as error:
        return f"does not answer: {type(error).__name__}"


async def _all(writes: Iterable[Awaitable[object]]) -> None:
    """Do writes, some of them concurrently.

    Raises:
        httpx2.HTTPError: The first failure, after all writes have ended.

    """
    gate = asyncio.Semaphore(WRITERS)

    async def one(write: Awaitable[object]) -> object:
        async with gate:
            return await write

    results = await asyncio.gather(*map(one, writes), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
