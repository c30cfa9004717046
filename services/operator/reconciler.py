"""The loop that makes what is into what should be.

Level-triggered: a round reads all FraudRules, the pods and the ConfigMaps from
the API, asks the detectors, and computes everything else from that. An event
only says that a round is due; one that is missed is made good by the next.
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
    POKE_ANNOTATION,
    Answer,
    Detector,
    Doubt,
    Poked,
    Report,
    brief,
    detectors,
    doubts,
    poke_value,
    pokes,
    read_page,
    report,
)
from services.operator.matches import add_up, matches_status
from services.operator.rule_metrics import RuleMetrics
from services.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from services.operator.conditions import Condition
    from services.operator.matches import Counted
    from services.operator.rulebook import Rulebook, Standing

log = structlog.get_logger()

RULES_KEY = "ruleset.json"
DETECTORS_KEY = "detectors.json"

# Events come in bursts; a round waits this long for the rest of one.
GATHER_SECONDS = 0.05
# While a ruleset is on its way the detectors are asked this often, and more seldom once it takes
# longer than a kubelet that was poked needs.
ASK_OFTEN_SECONDS = 0.1
ASK_SELDOM_SECONDS = 1.0
OFTEN_FOR_SECONDS = 10.0
# When all is as it should be: how often detectors are asked, and all is read without an event.
SETTLED_SECONDS = 5.0
READ_AGAIN_SECONDS = 30.0
# After an error of the API.
RETRY_SECONDS = 1.0
# A detector answers in milliseconds; one that does not must not hold up the others' pokes.
ANSWER_SECONDS = 0.5
# Writes under way at once.
WRITERS = 8


class Api(Protocol):
    """What a round does to the cluster; `services.operator.cluster` is the real one."""

    async def rules(self) -> list[dict[str, Any]]:
        """List the FraudRules."""

    async def pods(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        """List the pods with these labels."""

    async def config_map(self, name: str) -> dict[str, str] | None:
        """Read a ConfigMap's data."""

    async def apply_config_map(self, name: str, data: dict[str, str]) -> None:
        """Make a ConfigMap have this data."""

    async def apply_status(self, name: str, status: dict[str, Any]) -> bool:
        """Make a FraudRule have this status."""

    async def annotate_pod(self, name: str, key: str, value: str) -> bool:
        """Make a pod have this annotation."""

    async def tell(self, rule: dict[str, Any], condition: Condition) -> None:
        """Post an Event about a FraudRule."""


class Seen(msgspec.Struct):
    """What the API said when all was last read; statuses and pokes are kept up with our writes."""

    rules: list[dict[str, Any]]
    detectors: list[Detector]
    reports: str
    at: float


class Reconciler:
    """Reconciles one namespace.

    Args:
        api: the cluster.
        rulebook: which versions of rules decide.
        rules_config_map: what detectors mount.
        detectors_config_map: where the detectors' standing is told.
        labels: of detectors' pods.
        keyed_by: what the detectors should take the input topic to be keyed by.

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
    ) -> None:
        self._keyed_by = keyed_by
        self._api = api
        self._rulebook = rulebook
        self._rules_config_map = rules_config_map
        self._detectors_config_map = detectors_config_map
        self._labels = labels
        self._due = asyncio.Event()
        self._seen: Seen | None = None
        self._standings: list[Standing] = []
        self._poked: dict[str, Poked] = {}
        self._restored = False
        self._moving_since = 0.0
        self._rule_metrics = RuleMetrics()
        self._poked_at = time.time()
        self.beat = time.monotonic()
        self.settled = False
        """Whether the last round found everything as it should be."""

    @property
    def ready(self) -> bool:
        """Whether a round was finished since the start."""
        return self._seen is not None

    def poke(self) -> None:
        """Say that something may have changed."""
        if not self._due.is_set():
            self._poked_at = time.time()
        self._due.set()

    async def run(self) -> None:
        """Go on for ever; errors are logged, and the round is made again."""
        async with httpx2.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
            self._due.set()
            while True:
                self.beat = time.monotonic()
                try:
                    await self.round(http)
                except Exception as error:  # noqa: BLE001 - the loop outlives every error
                    await self._recover(error)
                else:
                    metrics.RECONCILES.labels("ok").inc()
                    await self._wait(self._pause())

    async def round(self, http: httpx2.AsyncClient) -> None:
        """Make one round."""
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
        self._poked = {uid: poked for uid, poked in self._poked.items() if uid in uids}
        await self._poke(
            [d for (d, _), told in zip(asked, found, strict=True) if told.state == "Stale"]
        )
        await self._write_statuses(seen, found, doubtful, add_up(answers))
        await self._write_reports(seen, found, ruleset)
        self.settled = all(r.state in {"Current", "OtherSettings"} for r in found)
        self._seen = seen
        metrics.DETECTORS.labels("all").set(len(found))
        metrics.DETECTORS.labels("current").set(sum(r.state == "Current" for r in found))

    async def _read(self) -> Seen:
        """Read all there is, and publish the rules that decide."""
        rules, pods, published, reports = await asyncio.gather(
            self._api.rules(),
            self._api.pods(self._labels),
            self._api.config_map(self._rules_config_map),
            self._api.config_map(self._detectors_config_map),
        )
        found = detectors(pods)
        if not self._restored:
            self._rulebook.restore((published or {}).get(RULES_KEY, ""))
            self._restored = True
        self._rule_metrics.heard(rules, self._poked_at)
        # Compiling may take a while, and the webhook has to answer meanwhile.
        self._standings = await asyncio.to_thread(self._rulebook.update, rules)
        wanted = {RULES_KEY: self._rulebook.document()}
        if published is None or published.get(RULES_KEY) != wanted[RULES_KEY]:
            await self._api.apply_config_map(self._rules_config_map, wanted)
            self._moving_since = time.monotonic()
            log.info(
                "ruleset published",
                ruleset=self._rulebook.hash,
                rules=len(self._rulebook.rule_hashes),
            )
            await self._poke(found)  # none has it yet: asking first would only take time
        return Seen(rules, found, (reports or {}).get(DETECTORS_KEY, ""), time.monotonic())

    async def _poke(self, stale: list[Detector]) -> None:
        due = pokes(stale, self._rulebook.hash, self._poked, time.monotonic())
        names = {detector.uid: detector.pod for detector in stale}
        await _all(
            self._api.annotate_pod(names[uid], POKE_ANNOTATION, poke_value(poked))
            for uid, poked in due.items()
        )
        self._poked |= due

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
        """Say what happened, and have all read anew: a write may have been lost, or made unseen."""
        metrics.RECONCILES.labels("failed").inc()
        if isinstance(error, httpx2.HTTPError):
            log.warning("API not reached", reason=str(error) or repr(error))
        else:
            log.error("round failed", exc_info=error)
        self._due.set()
        await asyncio.sleep(RETRY_SECONDS)

    async def _wait(self, seconds: float) -> None:
        """Wait until a round is due, and a moment longer for what comes with the same burst."""
        try:
            await asyncio.wait_for(self._due.wait(), seconds)
        except TimeoutError:
            return
        await asyncio.sleep(GATHER_SECONDS)


async def _ask_all(http: httpx2.AsyncClient, found: Iterable[Detector]) -> list[Answer]:
    return list(await asyncio.gather(*(_ask(http, detector) for detector in found)))


async def _ask(http: httpx2.AsyncClient, detector: Detector) -> Answer:
    try:
        answer = await http.get(detector.url)
        answer.raise_for_status()
    except httpx2.HTTPError as error:
        return f"does not answer: {type(error).__name__}"
    return read_page(answer.content)


async def _all(writes: Iterable[Awaitable[object]]) -> None:
    """Carry out writes, some at a time.

    Raises:
        httpx2.HTTPError: the first failure, once all are done.

    """
    gate = asyncio.Semaphore(WRITERS)

    async def one(write: Awaitable[object]) -> object:
        async with gate:
            return await write

    results = await asyncio.gather(*map(one, writes), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
