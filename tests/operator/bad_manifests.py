"""FraudRules that must not go live, each with the field to blame and words of what is said.

They are grouped by who refuses them on their way into a cluster; `fraud rules check` refuses all.
Each is GOOD with one thing wrong, or a text of its own. Those with windows are in `bad_windows`.
"""

from __future__ import annotations

import json

from tests.operator.bad_windows import WINDOWS_REFUSED_BY_SCHEMA, WINDOWS_REFUSED_BY_WEBHOOK
from tests.operator.one_wrong import (
    ABSENT,
    EXAMPLE,
    EXPRESSION,
    HEAD,
    PAYMENT,
    SPEC,
    TOP,
    BadManifest,
    example,
    matching,
    nested,
    no_yaml,
    payment,
    wrong,
)

_LAUGHS = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
_FIRST = f"{HEAD}metadata: {{name: good-rule}}\nspec: {{expression: '{EXPRESSION}'}}\n---\n"
_NO_MATCH = "no matches for kind"
_NO_NAME = "resource name may not be empty"
_GO_NAME = "ObjectMeta.metadata.name of type string"
_NO_OBJECT = "invalid object to validate"

# What kubectl cannot read, or cannot tell where to send.
REFUSED_BY_KUBECTL = (
    wrong("metadata.lables", {}, "did you mean `labels`?"),
    wrong("specs", {}, "did you mean `spec`?"),
    wrong("kind", ABSENT, "found None, expected FraudRule", "kind not set"),
    wrong("kind", "FraudRules", "write kind: FraudRule", _NO_MATCH),
    wrong("kind", "Pod", "found 'Pod', expected FraudRule", _NO_MATCH),
    wrong("kind", "", "found '', expected FraudRule", "Object 'Kind' is missing"),
    wrong("kind", 1, "found 1, expected FraudRule", "kind isn't string type"),
    wrong("apiVersion", ABSENT, "expected frauddetection.io/v1alpha1", "apiVersion not set"),
    wrong("apiVersion", "frauddetection.io/v1", "found 'frauddetection.io/v1'", _NO_MATCH),
    wrong("apiVersion", "v1alpha1", "write apiVersion: frauddetection.io/v1alpha1", _NO_MATCH),
    wrong("apiVersion", "frauddetection.io/v1Alpha1", "v1Alpha1', expected", _NO_MATCH),
    wrong("apiVersion", ["v1"], "found ['v1'], expected", "apiVersion isn't string type"),
    wrong("metadata", ABSENT, "is missing", _NO_NAME),
    wrong("metadata", None, "Expected `object`, got `null`", _NO_NAME),
    wrong("metadata", [], "Expected `object`, got `array`", "metadataOnlyObject.metadata"),
    wrong("metadata", "bad-rule", "found 'bad-rule'; expected `object`", "metadataOnlyObject"),
    wrong("metadata", {}, "is missing", _NO_NAME, blames="metadata.name"),
    wrong("metadata", {"nmae": "bad-rule"}, "is missing", _NO_NAME, blames="metadata.name"),
    wrong("metadata.name", "", "found ''", _NO_NAME),
    wrong("metadata.name", None, "Expected `str`, got `null`", _NO_NAME),
    wrong("metadata.name", 123, "put the value in quotes", _GO_NAME),
    wrong("metadata.name", value=True, says="got `bool`", server_says=_GO_NAME),
    wrong("metadata.name", "../etc", "is no Kubernetes name", "may not contain '/'"),
    wrong(
        "metadata.generation", "1", "found '1'; expected `int`", "ObjectMeta.metadata.generation"
    ),
    BadManifest("NaN", f"{TOP}spec: {{score: .nan}}\n", "spec.score", "found nan", "value: NaN"),
    BadManifest("a list", "- flag it\n", "kind", "found 'list'", _NO_OBJECT),
    BadManifest("plain text", "flag it\n", "kind", "found 'str'", _NO_OBJECT),
    no_yaml("nothing", "", "no rules found", "no objects passed"),
    no_yaml("only a comment", "# later\n---\n", "no rules found", "no objects passed"),
    no_yaml("a List of nothing", "apiVersion: v1\nkind: List\n", "called `items`", _NO_OBJECT),
    no_yaml("a tab", f"{TOP}spec:\n\tscore: 1\n", ":5: not YAML: ", "line 5: found character"),
    no_yaml("a bracket left open", f"{TOP}spec: {{\n", ":5: not YAML: ", "did not find"),
    no_yaml("an alias of nothing", f"{TOP}spec: *x\n", ":4: not YAML: ", "unknown anchor"),
    no_yaml("a comma too many", '{"kind": "FraudRule",,}', ":1: not YAML: ", "offset 22"),
    no_yaml(
        "a billion laughs", f"{TOP}a0: &a0 [x]\n{_LAUGHS}", "repeat more than", "excessive aliasing"
    ),
    no_yaml("a colon", f"{TOP}spec:\n  expression: a == 'b: c'\n", ":5: not YAML: ", "line 5: "),
    no_yaml("a NUL", f"{TOP}spec: '\0'\n", "unacceptable character #x0000", "control characters"),
    no_yaml(
        "half a pair", f'{TOP}spec: "\\ud800"\n', "half of a surrogate pair", "invalid Unicode"
    ),
)

# What breaks the resource's schema, or is no field of it.
REFUSED_BY_SCHEMA = (
    wrong("kind", "fraudrule", "write kind: FraudRule", "kind: Invalid value"),
    wrong("spec", ABSENT, "is missing", "spec: Required value"),
    wrong("spec", None, "Expected `object`, got `null`", "spec: Required value"),
    wrong("spec", [], "got `array`", "spec in body must be of type object"),
    wrong("spec", EXPRESSION, "expected `object`, got `str`", "spec in body must be of type obj"),
    no_yaml(
        "2000 brackets", f"{TOP}spec: {'[' * 2000}{']' * 2000}\n", "too deep", "spec in body must"
    ),
    wrong("metadata.name", "Bad", "is no Kubernetes name"),
    wrong("metadata.name", "bad_rule", "use lower-case letters, digits, `-` and `.`"),
    wrong("metadata.name", "a..b", "is no Kubernetes name"),
    wrong("metadata.name", "a\u202eb", "is no Kubernetes name"),
    wrong("metadata.name", "b\u0430d", "is no Kubernetes name"),
    wrong("metadata.name", "a" * 254, "expected 253 at most"),
    wrong("metadata.name", "3ds", "a name that makes none", blames="spec.reasonCode"),
    wrong("spec.expression", ABSENT, "is missing"),
    wrong("spec.expression", None, "is missing"),
    wrong("spec.expression", "", "found ''"),
    wrong("spec.expression", 900, "Expected `str`, got `int`"),
    wrong("spec.expression", value=True, says="put the value in quotes"),
    wrong("spec.expression", [EXPRESSION], "Expected `str`, got `array`"),
    wrong(
        "spec.expression", {"cel": "true"}, "Expected `str`, got `object`", "spec.expression.cel"
    ),
    wrong("spec.expression", "x" * 4097, "expected 4096 at most"),
    wrong("spec.expression", EXPRESSION + " || true" * 125_000, "expected 4096 at most"),
    wrong("spec.description", 5, "Expected `str`, got `int`"),
    wrong("spec.description", ["a"], "Expected `str`, got `array`"),
    wrong("spec.description", "x" * 1025, "expected 1024 at most"),
    wrong("spec.description", "\U0001f600" * 1025, "expected 1024 at most"),
    wrong("spec.mode", "enforce", "found 'enforce'"),
    wrong("spec.mode", "Off", "found 'Off'"),
    wrong("spec.mode", value=True, says="found True, expected one of Enforce, Shadow, Disabled"),
    wrong("spec.action", "ALLOW", "found 'ALLOW'"),
    wrong("spec.action", "Block", "found 'Block'"),
    wrong("spec.severity", "high", "found 'high'"),
    wrong("spec.severity", ["High"], "expected one of Low, Medium, High, Critical"),
    wrong("spec.score", "100", "found '100'; expected `int`, got `str`"),
    wrong("spec.score", 1.5, "found 1.5; expected `int`, got `float`"),
    wrong("spec.score", value=True, says="found True; expected `int`, got `bool`"),
    wrong("spec.score", [100], "Expected `int`, got `array`"),
    wrong("spec.score", 0, "found 0; expected `int` >= 1"),
    wrong("spec.score", -5, "found -5; expected `int` >= 1"),
    wrong("spec.score", 1001, "found 1001; expected `int` <= 1000"),
    wrong("spec.score", 2**63, "found 9223372036854775808; expected `int` <= 1000"),
    wrong("spec", {"action": "Allow", "score": 40} | SPEC, "found a score", blames="spec.score"),
    wrong("spec.reasonCode", "card_testing", "is no reason code"),
    wrong("spec.reasonCode", "3DS", "is no reason code"),
    wrong("spec.reasonCode", "\u00dcBER", "is no reason code"),
    wrong("spec.reasonCode", "A" * 65, "expected 64 at most"),
    wrong("spec.reasonCode", 5, "Expected `str`, got `int`"),
    wrong("spec.expresion", EXPRESSION, "did you mean `expression`?"),
    wrong("spec.Expression", EXPRESSION, "did you mean `expression`?"),
    wrong("spec.reason_code", "A", "did you mean `reasonCode`?"),
    wrong("spec.scroe", 5, "did you mean `score`?"),
    wrong("spec.example", [EXAMPLE], "did you mean `examples`?"),
    wrong("spec.threshold", 50, "known are expression, aggregates, description, mode, action"),
    wrong("spec.examples", {}, "Expected `array`, got `object`"),
    wrong("spec.examples", "none", "found 'none'; expected `array`, got `str`"),
    wrong("spec.examples", [EXAMPLE | {"name": str(i)} for i in range(33)], "expected 32 at most"),
    wrong(
        "spec.examples",
        [EXAMPLE, EXAMPLE],
        'there is an example "it" already',
        "spec.examples[1]: Duplicate value",
        blames="spec.examples[1].name",
    ),
    wrong("spec.examples[0]", "it", "found 'it'; expected `object`"),
    example("name", ABSENT, "is missing"),
    example("name", 5, "Expected `str`, got `int`"),
    example("name", "", "found ''"),
    example("name", "x" * 101, "expected 100 at most"),
    example("expect", ABSENT, "is missing"),
    example("expect", "match", "found 'match'"),
    example("expect", value=True, says="found True, expected one of Match, NoMatch"),
    example("transaction", ABSENT, "is missing"),
    example("transaction", "a to b", "found 'a to b'; expected `object`"),
    example("transaction", [PAYMENT], "got `array`", "spec.examples[0].transaction[0]"),
    nested("amount", json.loads("[" * 400 + "]" * 400)),
    nested("unread", {"a": 1}),
    example("transaction.source", "x" * 200_000, "has 200000 characters, and 1024 is the most"),
    example("transaction", {f"f{i}": i for i in range(65)}, "expected 64 at most"),
    example("expected", "Match", "did you mean `expect`?"),
    example("transactions", PAYMENT, "did you mean `transaction`?"),
    *WINDOWS_REFUSED_BY_SCHEMA,
)

_EXPRESSIONS = (
    ("a parenthesis left open", "(transaction.amount > 1.0", "missing ')'"),
    ("an operator without an end", "true &&", "the expression breaks off: complete it"),
    ("a quote left open", "transaction.source == 'a", "a string is not closed: add the quote"),
    ("one equals sign", "transaction.amount = 1.0", "compare with `==`"),
    ("a comment and nothing else", "// later", "the expression breaks off"),
    ("SQL", "true and transaction.source == 'a'", "write `&&` for `and`"),
    ("Python", "True or false", "write `||` for `or`"),
    ("JavaScript", "transaction.source === 'a'", "compare with `==`"),
    ("a thousands separator", "transaction.amount > 1,000.0", "mismatched input ','"),
    ("an escape that is none", r"transaction.source == '\q'", "Syntax error"),
    ("a misspelt field", "transaction.amuont > 1.0", "did you mean `transaction.amount`?"),
    ("a misspelt field in has", "has(transaction.cuntry)", "did you mean `transaction.country`?"),
    ("a misspelt transaction", "Transaction.amount > 1.0", "did you mean `transaction`?"),
    ("a field by itself", "amount > 1.0", "write `transaction.amount`"),
    ("a field by index", "transaction['amount'] > 1.0", "`[]` does not take"),
    ("an aggregate that is not there", "payments > 3", "`payments` is not known"),
    ("an aggregate's function", "payments.count() > 5", "`payments` is not known"),
    ("an aggregate as a field", "transaction.payments > 3", "has no field `payments`"),
    ("an unknown function", "abs(transaction.amount) > 1.0", "`abs` is not known"),
    ("an unknown method", "transaction.source.lower() == 'a'", "`lower` is not known"),
    ("a function for a method", "startsWith(transaction.source, 'a')", "write it as in"),
    ("a method in small letters", "transaction.source.startswith('a')", "mean `startsWith`?"),
    ("a remainder of decimals", "transaction.amount % 2 == 0", "one of whole numbers"),
    ("not in", "transaction.source not in ['a']", "write `!(… in …)`"),
    ("the clock", "now() > transaction.timestamp", "`now` is not known"),
    ("Python's import", "__import__('os')", "`__import__` is not known"),
    ("900 for 900.0", "transaction.amount >= 900", "write 900.0"),
    ("a whole number on the left", "900 < transaction.amount", "write 900.0"),
    ("whole numbers in a list", "transaction.amount in [1, 2]", "as in `[1.0, 2.0]`"),
    ("a decimal for a whole number", "size(transaction.source) > 3.5", "with `double(…)`"),
    ("text for a number", "transaction.amount > '5'", "leave the quotes out"),
    ("a number for text", "transaction.source == 5", "put the value in quotes"),
    ("null for absent", "transaction.country == null", "`has(transaction.…)`"),
    ("two mistakes", "transaction.amount > 9 && transaction.source == 5", "(string, int)"),
    ("a number too large", "transaction.amount > 9223372036854775808", "as in `1e19`"),
    ("a number for a condition", "transaction.amount", "gives a double"),
    ("text for a condition", "'true'", "gives a string, and a rule needs a condition"),
    ("a list for a condition", "[true]", "gives a list<bool>"),
    ("dyn for a condition", "dyn(true)", "gives a dyn"),
    ("2000 parentheses", "(" * 2000 + "true" + ")" * 2000, "as several rules"),
    ("4000 parentheses left open", "(" * 4000, "as several rules"),
    ("2000 lists", "[" * 2000 + "]" * 2000 + " == []", "as several rules"),
    ("1300 negations", "!(" * 1300 + "true" + ")" * 1300, "as several rules"),
    ("2000 sums", "1" + "+1" * 2000 + " == 1", "as several rules"),
    ("600 maps", "{'a':" * 600 + "1" + "}" * 600 + " == 1", "as several rules"),
    ("a pattern of the stream", "transaction.source.matches(transaction.target)", "as a literal"),
    ("a pattern put together", "transaction.source.matches('a' + 'b')", "as a literal"),
    ("patterns in a loop", "['a'].exists(p, transaction.source.matches(p))", "as a literal"),
    ("a pattern of unknown type", "transaction.source.matches(dyn('('))", "as a literal"),
    ("1001 steps", f"[{'1,' * 1000}1].all(x, x == 1)", "loops of 1001 steps"),
    ("a loop in a loop", f"{[1] * 40}.all(x, {[1] * 40}.all(y, x == y))", "loops of 1600 steps"),
    ("a loop over text", "transaction.source.exists(c, c == 'a')", "cannot be the range"),
    ("a loop over its element", "[[1]].exists(x, x.exists(y, y > 0))", "other than a list written"),
    ("text joined in a loop", "['a'].exists(x, x + x == 'aa')", "`+` joins strings or lists"),
    ("dyn joined in a loop", "[dyn('a')].exists(x, x + x == 'aa')", "`+` joins strings or lists"),
    ("has of a comparison", "has(transaction.amount > 1.0)", "has() argument must be a field"),
    ("a number for a variable", "[1].exists(1, true)", "variable name must be a simple identifier"),
    ("the loop's own variable", "[[1]].exists(__result__, true)", "name cannot be __result__"),
    ("a variable of another loop", "[1].all(x, y > 0)", "`y` is not known"),
    ("a filter by text", "[1].filter(x, 'a') == [1]", "`?:` does not take"),
    ("a shadowed transaction", "[1].exists(transaction, transaction.amount > 1.0)", "'int' cannot"),
    ("a reserved word", "namespace == 'a'", "reserved identifier: namespace"),
    ("a reserved variable", "[1].exists(for, for == 1)", "reserved identifier: for"),
    ("an operator for a variable", "[1].exists(in, true)", "mismatched input 'in'"),
    (
        "a letter that looks Latin",
        "tr\u0430nsaction.amount > 1.0",
        "recognition error at: '\u0430'",
    ),
    (
        "a loop that doubles",
        f"transaction.amount >= 900.0 && [1]{'.map(a, [a, a])' * 10} == []",
        "a loop makes lists or maps of its variable",
    ),
    (
        "a space without width",
        "transaction.\u200bamount > 1.0",
        "delete the invisible character U+200B",
    ),
    (
        "a right-to-left mark",
        "transaction.amount > 1.0 \u202e",
        "delete the invisible character U+202E",
    ),
    ("quotes of a word processor", "transaction.source == \u2018a\u2019", "error at: '\u2018'"),
    ("an emoji before the place", "'\U0001f600' == 'a' && amount > 1.0", "\n" + " " * 16 + "^\n"),
    ("half a pair, escaped", r"transaction.source == '\ud800'", r"value \ud800 is invalid"),
)

_PATTERNS = (
    ("(", "missing ): ("),
    ("[z-a]", "invalid character class range: z-a"),
    ("*", "no argument for repetition operator: *"),
    (r"(a)\1", "invalid escape sequence"),
    ("(?=a)", "invalid perl operator: (?="),
    ("a{1001}", "invalid repetition size: {1001}"),
    ("(a{1000}){1000}", "invalid repetition size"),
    ("(((a{30}){30}){30}){30}", "invalid repetition size"),
    ("x" * 257, "a pattern of 257 characters; 256 is the most"),
)

_EXAMPLES = (
    payment("amount", ABSENT, "missing_field, `amount` is missing"),
    payment("amount", "950", 'wrong_type, amount: found "950"'),
    payment("amount", "NaN", 'wrong_type, amount: found "NaN"'),
    payment("amount", -1, "out_of_range, amount: found -1"),
    payment("source", 5, "wrong_type, source: found 5"),
    payment("source", "", 'wrong_length, source: found ""'),
    payment("currency", "usd", 'unknown_currency, currency: found "usd"'),
    payment("currency", "ZZZ", 'unknown_currency, currency: found "ZZZ"'),
    payment("country", "USA", 'wrong_length, country: found "USA"'),
    payment("country", "\0", r'wrong_length, country: found "\u0000"'),
    payment("timestamp", "noon", 'invalid_timestamp, timestamp: found "noon"'),
    payment("timestamp", "1999-12-31T23:59:59Z", "timestamp_too_old"),
    example("transaction", {}, "missing_field, `source` is missing"),
    wrong(
        "spec.examples[0].transaction",
        {"sorce": "alice", "target": "bob", "amount": 900.0, "currency": "USD"},
        "a transaction has no field `sorce`",
        blames="spec.examples[0].transaction.sorce",
    ),
    wrong(
        "spec",
        {**SPEC, "expression": "transaction.amount < 1.0"},
        'example "it" gives NoMatch, and Match was expected',
        blames="spec.examples[0]",
    ),
    wrong(
        "spec.examples",
        [EXAMPLE | {"expect": "NoMatch"}],
        'example "it" gives Match, and NoMatch was expected',
        blames="spec.examples[0]",
        name="an example that matches",
    ),
    wrong(
        "spec",
        {**SPEC, "expression": "1 / (size(transaction.source) - 5) > 0"},
        "divide by zero",
        blames="spec.examples[0]",
    ),
)

# What is well-formed, and only the engine knows to be wrong.
REFUSED_BY_WEBHOOK = (
    *(wrong("spec.expression", text, says, name=name) for name, text, says in _EXPRESSIONS),
    *(matching(pattern, says) for pattern, says in _PATTERNS),
    *_EXAMPLES,
    *WINDOWS_REFUSED_BY_WEBHOOK,
)

# Of these the first document is good.
SEVERAL_DOCUMENTS = (
    BadManifest(
        "the second of two is bad",
        f"{_FIRST}{TOP}spec: {{expression: amount > 1.0}}\n",
        "spec.expression",
        ":9: bad-rule: spec.expression: `amount` is not known by itself",
    ),
    no_yaml("the second of two is none", f"{_FIRST}a: [\n", ":7: not YAML: ", "error parsing"),
)

# What kubectl passes over: it keeps the last of two keys and does not look at tags. A file has to
# have one meaning.
REFUSED_IN_FILES = (
    no_yaml("a kind twice", f"{TOP}kind: FraudRule\n", "the key `kind` is given twice"),
    no_yaml("a score twice", f"{TOP}spec: {{score: 1, score: 2}}\n", "`score` is given twice"),
    no_yaml("a merge of text", f"{TOP}spec:\n  <<: score\n", ":5: not YAML: `<<` takes a mapping"),
    no_yaml("a tag", f"{TOP}spec: {{expression: !cel 'true'}}\n", "for the tag '!cel'"),
)

BAD_MANIFESTS = (
    *REFUSED_BY_KUBECTL,
    *REFUSED_BY_SCHEMA,
    *REFUSED_BY_WEBHOOK,
    *SEVERAL_DOCUMENTS,
    *REFUSED_IN_FILES,
)
