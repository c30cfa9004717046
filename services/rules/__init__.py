"""The rule language: from FraudRules to checked conditions. Uses neither Kafka nor Kubernetes.

For example:

    compiler = Compiler(load_schema(None))
    reports = check([Path("k8s/rules")], compiler)
    ruleset = Ruleset((r.compiled for r in reports if r.compiled), compiler.environment)
    decision = ruleset.decide(mask)

`services.engine` finds the mask of the rules that match a transaction.
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
