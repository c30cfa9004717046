"""The rules engine: from FraudRules to one decision function. Uses neither Kafka nor Kubernetes.

For example:

    compiler = Compiler(load_schema(None))
    reports = check([Path("k8s/rules")], compiler)
    ruleset = Ruleset((r.compiled for r in reports if r.compiled), compiler.environment)
    masks = ruleset.matches(transactions)
    decision = ruleset.decide(masks[0])
"""

from services.rules.checking import Report, check
from services.rules.compilation import CompiledRule, Compiler
from services.rules.expressions import NO_VALUE
from services.rules.keys import DEFAULT_KEY
from services.rules.manifests import Manifest, read_manifests, read_object, rule_files
from services.rules.model import FraudRule
from services.rules.problems import Place, Problem, RuleError
from services.rules.ruleset import DEFAULT_THRESHOLD, Decision, Match, Ruleset, Verdict, rule_hash
from services.rules.store import RuleState, RuleStore, Update

__all__ = [
    "DEFAULT_KEY",
    "DEFAULT_THRESHOLD",
    "NO_VALUE",
    "CompiledRule",
    "Compiler",
    "Decision",
    "FraudRule",
    "Manifest",
    "Match",
    "Place",
    "Problem",
    "Report",
    "RuleError",
    "RuleState",
    "RuleStore",
    "Ruleset",
    "Update",
    "Verdict",
    "check",
    "read_manifests",
    "read_object",
    "rule_files",
    "rule_hash",
]
