"""Change every rule a little, one thing at a time, and see whether promtool's tests notice.

    scripts/rule_mutants.py [RULE ...]

What is changed: thresholds, comparisons, labels, ``for``, ``keep_firing_for``, windows, offsets and joins.
A mutant that no test notices is explained in ``scripts/rule-mutants.yaml``, or makes the exit status 1.
Answers are kept in ``build/``, so that a second run asks only what has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as p
import yaml

ROOT = Path(__file__).parents[1]
EXPLAINED = Path(__file__).with_name("rule-mutants.yaml")
CACHE = ROOT / "build/rule-mutants.json"
# What stands between the name of a mutated rule and its number.
_MARK = "_mutant"
_AT_ONCE = 60
# Rules evaluated by a test case that even mutants with an explanation are held against.
_CHEAP = 130
_COMPARISONS = {
    ">": (">=", "<"),
    ">=": (">", "<="),
    "<": ("<=", ">"),
    "<=": ("<", ">="),
    "==": ("!=",),
    "!=": ("==",),
}
_ARITHMETIC = {"+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",)}
_SETS = {"and": ("unless",), "unless": ("and",)}
_FUNCTIONS = {
    "max_over_time": "min_over_time",
    "min_over_time": "max_over_time",
    "clamp_min": "clamp_max",
    "clamp_max": "clamp_min",
}
_PRECEDENCE_FREE = (
    p.NumberLiteral,
    p.StringLiteral,
    p.VectorSelector,
    p.MatrixSelector,
    p.Call,
    p.AggregateExpr,
)


class Variant(NamedTuple):
    """An expression with one thing changed, and what that is."""

    what: str
    text: str


class Printed(NamedTuple):
    """An expression as text, and all its variants."""

    text: str
    variants: list[Variant]


def printed(node: Any) -> Printed:
    """The text of a parsed expression, and of everything one change makes of it."""
    if isinstance(node, p.ParenExpr):
        return _around("({})", node.expr)
    if isinstance(node, p.UnaryExpr):
        return _around("-{}", node.expr)
    if isinstance(node, p.NumberLiteral):
        text = f"{node.val:.15g}"
        changed = ("1",) if node.val == 0 else (f"{node.val * 1.2:.15g}", f"{node.val * 0.8:.15g}")
        return Printed(text, [Variant(f"{text} -> {new}", new) for new in changed])
    if isinstance(node, p.StringLiteral):
        return Printed(json.dumps(node.val), [])
    if isinstance(node, p.VectorSelector):
        return _selector(node, "")
    if isinstance(node, p.MatrixSelector):
        return _windowed(node)
    if isinstance(node, p.SubqueryExpr):
        return _subquery(node)
    if isinstance(node, p.Call):
        return _call(node)
    if isinstance(node, p.AggregateExpr):
        return _aggregate(node)
    if isinstance(node, p.BinaryExpr):
        return _binary(node)
    raise TypeError(f"expected an expression, found {node!r}")


def _around(form: str, node: Any) -> Printed:
    inner = printed(node)
    return Printed(
        form.format(inner.text), [Variant(one.what, form.format(one.text)) for one in inner.variants]
    )


def _put(parts: Sequence[Printed], form: str) -> Printed:
    """Expressions in one; a variant of any of them is one of the whole."""
    texts = [part.text for part in parts]
    variants = [
        Variant(one.what, form.format(*texts[:place], one.text, *texts[place + 1 :]))
        for place, part in enumerate(parts)
        for one in part.variants
    ]
    return Printed(form.format(*texts), variants)


def _duration(length: timedelta | None) -> str:
    return p.display_duration(length or timedelta(0)) or "0s"


def _matcher(matcher: Any) -> str:
    operator = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}[str(matcher.op).rpartition(".")[2]]
    return f"{matcher.name}{operator}{json.dumps(matcher.value, ensure_ascii=False)}"


def _selector(node: Any, window: str) -> Printed:
    name = node.name or ""
    matchers = [_matcher(one) for one in node.matchers.matchers]

    def written(given: Sequence[str], offset: timedelta | None) -> str:
        braces = f"{{{','.join(given)}}}" if given else ""
        return f"{name}{braces}{window}" + (f" offset {_duration(offset)}" if offset else "")

    variants = []
    for place, text in enumerate(matchers):
        rest = [*matchers[:place], *matchers[place + 1 :]]
        where = f"{name}{{{text}}}"
        if name or rest:
            variants.append(Variant(f"{where} without it", written(rest, node.offset)))
        flipped = re.sub(
            r'(=~|!~|!=|=)(?=")',
            lambda m: {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}[m[1]],
            text,
            count=1,
        )
        variants.append(Variant(f"{where} -> {flipped}", written([*rest, flipped], node.offset)))
        options = node.matchers.matchers[place].value.split("|")
        if "~" in text and len(options) > 1 and "(" not in text:
            for option in options:
                fewer = text.replace(
                    json.dumps("|".join(options)), json.dumps("|".join(o for o in options if o != option))
                )
                variants.append(Variant(f"{where} without {option}", written([*rest, fewer], node.offset)))
    if node.offset:
        variants.append(Variant(f"{name} without offset", written(matchers, None)))
        variants.append(
            Variant(f"{name} offset {_duration(2 * node.offset)}", written(matchers, 2 * node.offset))
        )
    return Printed(written(matchers, node.offset), variants)


def _windowed(node: Any) -> Printed:
    inner = _selector(node.vector_selector, f"[{_duration(node.range)}]")
    variants = list(inner.variants)
    for changed in (2 * node.range, node.range / 2):
        other = _selector(node.vector_selector, f"[{_duration(changed)}]")
        variants.append(
            Variant(
                f"{node.vector_selector.name}[{_duration(node.range)}] -> [{_duration(changed)}]", other.text
            )
        )
    return Printed(inner.text, variants)


def _subquery(node: Any) -> Printed:
    step = _duration(node.step) if node.step else ""
    offset = f" offset {_duration(node.offset)}" if node.offset else ""
    found = _around(f"{{}}[{_duration(node.range)}:{step}]{offset}", node.expr)
    for changed in (2 * node.range, node.range / 2):
        text = _around(f"{{}}[{_duration(changed)}:{step}]{offset}", node.expr).text
        found.variants.append(Variant(f"[{_duration(node.range)}:] -> [{_duration(changed)}:]", text))
    return found


def _call(node: Any) -> Printed:
    arguments = [printed(one) for one in node.args]
    form = "({})".format(", ".join(["{}"] * len(arguments)))
    found = _put(arguments, node.func.name + form)
    other = _FUNCTIONS.get(node.func.name)
    if other:
        found.variants.append(Variant(f"{node.func.name} -> {other}", _put(arguments, other + form).text))
    return found


def _aggregate(node: Any) -> Printed:
    operator = str(node.op)
    modifier = node.modifier
    arguments = [printed(one) for one in ([node.param] if node.param is not None else []) + [node.expr]]
    inside = "({})".format(", ".join(["{}"] * len(arguments)))

    def head(labels: Sequence[str]) -> str:
        if modifier is None:
            return operator
        kind = "by" if str(modifier.type).endswith("By") else "without"
        return f"{operator} {kind} ({', '.join(labels)}) "

    labels = list(modifier.labels) if modifier else []
    found = _put(arguments, head(labels) + inside)
    for label in labels:
        fewer = [one for one in labels if one != label]
        found.variants.append(
            Variant(f"{head(labels).strip()} without {label}", _put(arguments, head(fewer) + inside).text)
        )
    return found


def _binary(node: Any) -> Printed:
    operator = str(node.op)
    modifier = node.modifier
    matching = modifier.matching if modifier else None
    sides = [printed(node.lhs), printed(node.rhs)]
    sides = [
        side if isinstance(one, (*_PRECEDENCE_FREE, p.ParenExpr)) else _put([side], "({})")
        for side, one in zip(sides, (node.lhs, node.rhs), strict=True)
    ]

    def joined(sign: str, labels: Sequence[str] | None, *, with_bool: bool = True) -> str:
        text = f" {sign}"
        if modifier and modifier.return_bool and with_bool:
            text += " bool"
        if matching is not None and labels is not None:
            kind = "on" if str(matching.type).endswith("Include") else "ignoring"
            text += f" {kind} ({', '.join(labels)})"
        card = str(modifier.card) if modifier else ""
        side = "left" if "ManyToOne" in card else "right" if "OneToMany" in card else ""
        if side:
            text += f" group_{side} ({', '.join(modifier.group_labels or [])})"
        return "{}" + text + " {}"

    labels = None if matching is None else list(matching.labels)
    found = _put(sides, joined(operator, labels))
    left, right = (side.text for side in sides)
    about = f"{_short(left)} {operator} {_short(right)}"
    idle = _is_info(node.rhs) or (_is_nothing(node) if operator == "*" else _is_nothing(node.rhs))
    arithmetic = () if idle else _ARITHMETIC.get(operator, ())
    for sign in (*_COMPARISONS.get(operator, ()), *arithmetic, *_SETS.get(operator, ())):
        found.variants.append(
            Variant(f"{about}: {operator} -> {sign}", joined(sign, labels).format(left, right))
        )
    if operator in ("or", "and", "unless"):
        found.variants.append(Variant(f"{about}: left side alone", left))
    if operator == "or":
        found.variants.append(Variant(f"{about}: right side alone", right))
    if modifier and modifier.return_bool:
        found.variants.append(
            Variant(f"{about}: without bool", joined(operator, labels, with_bool=False).format(left, right))
        )
    for label in labels or []:
        fewer = [one for one in labels or [] if one != label]
        found.variants.append(
            Variant(f"{about}: join without {label}", joined(operator, fewer).format(left, right))
        )
    return found


def _is_info(node: Any) -> bool:
    """Whether an expression is 1 wherever there is anything: multiplied with for its labels alone."""
    if isinstance(node, p.ParenExpr):
        return _is_info(node.expr)
    if isinstance(node, p.AggregateExpr):
        return str(node.op) == "group" or (str(node.op) == "max" and _is_info(node.expr))
    return isinstance(node, p.VectorSelector) and bool(re.search("_info(:|$)", node.name or ""))


def _is_nothing(node: Any) -> bool:
    """Whether an expression is ``0 * …``: only its labels are meant."""
    if isinstance(node, p.ParenExpr):
        return _is_nothing(node.expr)
    is_product = isinstance(node, p.BinaryExpr) and str(node.op) == "*"
    return is_product and isinstance(node.lhs, p.NumberLiteral) and node.lhs.val == 0


def _short(text: str) -> str:
    return text if len(text) <= 48 else f"{text[:30]}…{text[-16:]}"


class Mutant(NamedTuple):
    """A rule with one thing changed."""

    rule: str
    title: str
    what: str
    changed: dict[str, Any]
    place: tuple[str, int, int]


def mutants(files: Mapping[str, Any]) -> Iterator[Mutant]:
    """Every mutant of the rules of *files*, which are parsed and by their names."""
    places = [
        (rule, (file, number, position))
        for file, content in files.items()
        for number, group in enumerate(content["groups"])
        for position, rule in enumerate(group["rules"])
    ]
    several = Counter(rule.get("record") or rule["alert"] for rule, _ in places)
    for rule, place in places:
        name = rule.get("record") or rule["alert"]
        # Rules of one name are told apart by their labels.
        labels = ", ".join(f"{label} {value}" for label, value in rule.get("labels", {}).items())
        title = f"{name} ({labels})" if several[name] > 1 else name
        for what, changed in _of_rule(rule):
            yield Mutant(name, title, what, changed, place)


def _of_rule(rule: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    seen: Counter[str] = Counter()
    base = printed(p.parse(str(rule["expr"])))
    for what, text in base.variants:
        seen[what] += 1
        yield (what if seen[what] == 1 else f"{what} #{seen[what]}"), {**rule, "expr": text}
    if "alert" in rule:
        for key in ("for", "keep_firing_for"):
            given = rule.get(key)
            length = p.parse_duration(str(given)) if given else timedelta(0)
            for changed in (timedelta(0), 2 * length) if length else (timedelta(minutes=5),):
                new = _duration(changed)
                yield f"{key}: {given or 0} -> {new}", {**rule, key: new}
    for label, value in rule.get("labels", {}).items():
        yield f"label {label}: {value} -> other", {**rule, "labels": {**rule["labels"], label: "other"}}


class Case(NamedTuple):
    """What of a test case looks at a rule, or at what reads it."""

    settings: dict[str, Any]
    case: dict[str, Any]
    needed: frozenset[str]
    affected: frozenset[str]
    digest: str


class Suite:
    """The rules and their promtool tests; a mutant is held against the tests that touch it."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.name: yaml.safe_load(path.read_text("utf-8"))
            for path in sorted((folder / "rules").glob("*.yml"))
        }
        self._cases = [
            (
                {key: value for key, value in file.items() if key not in ("rule_files", "tests")},
                case,
            )
            for path in sorted((folder / "tests").glob("*.test.yml"))
            for file in [yaml.safe_load(path.read_text("utf-8"))]
            for case in file["tests"]
        ]
        for _, case in self._cases:
            for sample in (one for check in case.get("promql_expr_test", []) for one in check["exp_samples"]):
                # 26e9 is a number to promtool, and a text to this reader.
                sample["value"] = float(sample["value"])
        rules = [
            rule for content in self.files.values() for group in content["groups"] for rule in group["rules"]
        ]
        recorded = {rule["record"] for rule in rules if "record" in rule}
        # What each rule reads for its result; and with the texts of its messages, which ask for series too,
        # in the language of templates.
        self._reads: dict[str, set[str]] = {}
        self._told: dict[str, set[str]] = {}
        for rule in rules:
            name = rule.get("record") or rule["alert"]
            # An alert may read another's ALERTS; that of all of them is what cases give themselves.
            read = _names(str(rule["expr"]), by_alert="alert" in rule)
            words = set(re.findall(r"[a-zA-Z_:][\w:]*", " ".join(rule.get("annotations", {}).values())))
            self._reads.setdefault(name, set()).update(read)
            self._told.setdefault(name, set()).update(read, words & recorded)

    def _closure(self, names: Iterable[str], edges: Mapping[str, set[str]]) -> set[str]:
        seen: set[str] = set()
        left = set(names)
        while left:
            seen |= left
            left = {name for one in left for name in edges.get(one, ())} - seen
        return seen

    def cases_of(self, rule: str) -> list[Case]:
        """The parts of the test cases that look at a rule or at what reads it, the cheapest first."""
        found = []
        for settings, case in self._cases:
            # What a case gives itself does not come of rules.
            given = {re.split(r"[{ ]", one["series"])[0] for one in case.get("input_series", [])}
            if rule in given:
                continue
            reads, tells = (
                {name: others - given for name, others in edges.items()}
                for edges in (self._reads, self._told)
            )
            touched, told = (
                self._closure([rule], _turned(edges)) & set(self._reads) for edges in (reads, tells)
            )
            alerts = [one for one in case.get("alert_rule_test", []) if one["alertname"] in told]
            expressions = [
                (one, _names(one["expr"], by_alert=True) & touched)
                for one in case.get("promql_expr_test", [])
            ]
            # What looks at the rule itself needs nothing computed that reads it, and catches most.
            for some_alerts, some_expressions in (
                ([], [one for one, seen in expressions if seen == {rule}]),
                (alerts, [one for one, seen in expressions if seen - {rule}]),
            ):
                if some_alerts or some_expressions:
                    asked = {**case, "alert_rule_test": some_alerts, "promql_expr_test": some_expressions}
                    # Only a test of an alert's texts sees what they ask for.
                    found.append(self._part(rule, settings, asked, tells if some_alerts else reads))
        return sorted(found, key=_cost)

    def _part(
        self, rule: str, settings: dict[str, Any], asked: dict[str, Any], edges: Mapping[str, set[str]]
    ) -> Case:
        names = {rule} | {one["alertname"] for one in asked["alert_rule_test"]}
        for one in asked["promql_expr_test"]:
            names |= _names(one["expr"], by_alert=True)
        needed = self._closure(names, edges) & set(self._reads)
        text = json.dumps([settings, asked, [one for _, _, one in self._rules(needed)]], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        affected = self._closure([rule], _turned(edges)) & needed
        return Case(settings, asked, frozenset(needed), frozenset(affected), digest)

    def _rules(self, needed: Iterable[str]) -> Iterator[tuple[tuple[str, int], int, dict[str, Any]]]:
        for file, content in self.files.items():
            for number, group in enumerate(content["groups"]):
                for position, rule in enumerate(group["rules"]):
                    if (rule.get("record") or rule["alert"]) in needed:
                        yield (file, number), position, rule

    def question(self, case: Case, asked: Mapping[int, Mutant | None]) -> tuple[str, str]:
        """A rule file and a test file that ask a case of many mutants at once.

        Each mutant, and what reads it, stands beside the others under names of its own; the rest is
        computed once.
        """
        pattern = re.compile(
            r"(?<![\w:])(?:{})(?![\w:])".format("|".join(map(re.escape, sorted(case.affected))))
        )

        def named(value: Any, number: int) -> Any:
            return json.loads(pattern.sub(rf"\g<0>{_MARK}{number}", json.dumps(value)))

        groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for (file, group), position, rule in self._rules(case.needed):
            kept = groups.setdefault((file, group), [])
            if (rule.get("record") or rule["alert"]) not in case.affected:
                kept.append(rule)
                continue
            kept += [
                named(mutant.changed if mutant and mutant.place == (file, group, position) else rule, number)
                for number, mutant in asked.items()
            ]
        rules = {
            "groups": [
                {**self.files[file]["groups"][group], "rules": kept} for (file, group), kept in groups.items()
            ]
        }
        checks = {
            kind: [named(one, number) for one in case.case[kind] for number in asked]
            for kind in ("alert_rule_test", "promql_expr_test")
        }
        tests = {**case.settings, "rule_files": ["rules.yml"], "tests": [{**case.case, **checks}]}
        # JSON is YAML, and much sooner written and read.
        return json.dumps(rules), json.dumps(tests)

    def caught(self, case: Case, asked: Sequence[Mutant]) -> list[bool]:
        """Which of these mutants of a rule a case notices."""
        left: dict[int, Mutant | None] = {0: None, **dict(enumerate(asked, start=1))}
        while True:
            found, ended = run(*self.question(case, left))
            if 0 in found:
                raise SystemExit(f"{case.case.get('name', 'a test')}: fails without any change")
            left = {number: mutant for number, mutant in left.items() if number not in found}
            # What cannot be evaluated ends the test for all: the others are asked again.
            if not ended or len(left) == 1:
                return [number not in left for number in range(1, len(asked) + 1)]


def _turned(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same from the other end."""
    turned: dict[str, set[str]] = {}
    for name, others in edges.items():
        for one in others:
            turned.setdefault(one, set()).add(name)
    return turned


def _evaluations(one: Case) -> float:
    """How often a test case has the rules evaluated."""
    checks = one.case["alert_rule_test"] + one.case["promql_expr_test"]
    last = max(p.parse_duration(str(check["eval_time"])) for check in checks)
    return float(last / p.parse_duration(one.settings.get("evaluation_interval", "1m")))


def _cost(one: Case) -> float:
    """How often a test case has a mutant, and what reads it, evaluated."""
    return _evaluations(one) * len(one.affected)


def _names(expression: str, *, by_alert: bool = False) -> set[str]:
    """What an expression selects; with *by_alert* the alerts it asks for in place of ``ALERTS``."""
    names: set[str] = set()

    def note(node: Any) -> None:
        if isinstance(node, p.VectorSelector) and node.name:
            alerts = [
                one.value
                for one in node.matchers.matchers
                if by_alert and one.name == "alertname" and str(one.op).endswith(".Equal")
            ]
            names.update(alerts if node.name == "ALERTS" and alerts else [node.name])

    p.walk(p.parse(expression), note)
    return names


def run(rules: str, tests: str) -> tuple[set[int], bool]:
    """The numbers promtool complains of, and whether it gave up before the end."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "rules.yml").write_text(rules, "utf-8")
        (Path(directory) / "case.test.yml").write_text(tests, "utf-8")
        done = subprocess.run(
            ["promtool", "test", "rules", "case.test.yml"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode == 0:
        return set(), False
    said = done.stdout + done.stderr
    found = {int(number) for number in re.findall(rf"{_MARK}(\d+)", said)}
    if not found:
        raise SystemExit(said)
    return found, bool(re.search(r"^\s+rule: .*, err: |^rules\.yml: ", said, re.MULTILINE))


class Answers:
    """What is known of mutants, by the case that was asked; kept from run to run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, bool] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        self._lock = threading.Lock()

    def living(
        self, suite: Suite, asked: Sequence[Mutant], longest: float, explained: Container[tuple[str, str]]
    ) -> list[Mutant]:
        """Those of the mutants of one rule that no case of at most that many evaluations notices.

        Of what is explained the cheap cases alone are asked: the others would take most of the time.
        """
        cases = [one for one in suite.cases_of(asked[0].rule) if _evaluations(one) <= longest]
        living = list(asked)
        # What an earlier run saw caught is not asked again, whatever tests were written since.
        for case in cases:
            living = [one for one in living if not self._known.get(_digest(case, one))]
        for case in cases:
            cheap = _cost(case) <= _CHEAP
            new = [
                one
                for one in living
                if _digest(case, one) not in self._known and (cheap or (one.title, one.what) not in explained)
            ]
            for start in range(0, len(new), _AT_ONCE):
                some = new[start : start + _AT_ONCE]
                answers = suite.caught(case, some)
                with self._lock:
                    self._known.update(
                        (_digest(case, one), found) for one, found in zip(some, answers, strict=True)
                    )
            living = [one for one in living if not self._known.get(_digest(case, one))]
        with self._lock:
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_text(json.dumps(self._known), "utf-8")
        return living


def _digest(case: Case, mutant: Mutant) -> str:
    text = json.dumps([case.digest, mutant.place, mutant.changed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def main() -> int:
    """The exit status: 1 if a mutant lives that is not explained, or an explanation explains nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rules", nargs="*", metavar="RULE", help="only the mutants of these rules")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many rules to try at once")
    parser.add_argument(
        "--longest",
        type=float,
        default=math.inf,
        metavar="N",
        help="ask only test cases of up to N evaluations: quick, and not the last word",
    )
    options = parser.parse_args()
    suite = Suite(ROOT / "prometheus")
    of_rule: dict[str, list[Mutant]] = {}
    for one in mutants(suite.files):
        if not options.rules or one.rule in options.rules:
            of_rule.setdefault(one.rule, []).append(one)
    explained = {
        (one["rule"], what): one["why"]
        for one in yaml.safe_load(EXPLAINED.read_text("utf-8")) or []
        for what in ([one["mutant"]] if isinstance(one["mutant"], str) else one["mutant"])
    }
    answers = Answers(CACHE)
    alive: set[tuple[str, str]] = set()
    unexplained = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for asked, living in zip(
            of_rule.values(),
            pool.map(lambda some: answers.living(suite, some, options.longest, explained), of_rule.values()),
            strict=True,
        ):
            named = {(one.title, one.what) for one in living}
            alive |= named
            for title, what in sorted(named - set(explained)):
                print(f"ALIVE  {title}: {what}")
            unexplained += len(named - set(explained))
            print(f"{asked[0].rule}: {len(asked)} mutants, {len(asked) - len(living)} caught", flush=True)
    idle = {
        one
        for one in set(explained) - alive
        if not options.rules or one[0].partition(" ")[0] in options.rules
    }
    for rule, what in sorted(idle):
        print(f"IDLE   {EXPLAINED.name} explains what is caught or gone: {rule}: {what}")
    count = sum(map(len, of_rule.values()))
    caught = count - len(alive)
    print(f"{count} mutants: {caught} caught, {len(alive) - unexplained} explained, {unexplained} alive")
    return int(bool(unexplained or idle))


if __name__ == "__main__":
    sys.exit(main())
