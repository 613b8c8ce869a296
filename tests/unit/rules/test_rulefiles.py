"""Rules as people have them, and the mistakes in them, with file and line."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

import pytest
from testbed.errors import UsageError
from testbed_rules.rulefiles import read_rule_set, read_rules

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]\n"
OBJECT = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: n}
spec:
  groups:
    - name: g
      rules:
        - {alert: B, expr: up == 0}
"""


def write(folder: Path, **texts: str) -> Path:
    """Files in a folder; `__` in a name stands for the folder's separator, `_` for the dot."""
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


def alerts(path: Path) -> dict[str, list[str]]:
    """Name of each file to its alerts."""
    return {
        name: [rule["alert"] for group in document["groups"] for rule in group.get("rules", ())]
        for name, document in read_rules(path).items()
    }


def test_one_file(tmp_path: Path) -> None:
    """A path may be a file, whatever it ends in."""
    write(tmp_path, my_txt=GROUP)
    assert alerts(tmp_path / "my.txt") == {"my.yml": ["A"]}


def test_folders_below_and_every_usual_ending(tmp_path: Path) -> None:
    """Two files of one name keep both; hidden folders and other files are left alone."""
    write(tmp_path, a_yml=GROUP, b__a_yaml=GROUP, c__d__e_rules=GROUP, README_md="hello")
    write(tmp_path / ".git", x_yml="{broken")
    assert alerts(tmp_path) == {"a.yml": ["A"], "b-a.yml": ["A"], "e.yml": ["A"]}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "groups:\n", "groups: []\n"])
def test_a_file_without_groups(tmp_path: Path, text: str) -> None:
    """Prometheus loads it, and so does a run."""
    write(tmp_path, a_yml=text)
    assert alerts(tmp_path) == {"a.yml": []}


def test_a_group_without_rules(tmp_path: Path) -> None:
    """`rules:` may hold nothing."""
    write(tmp_path, a_yml="groups: [{name: g, rules: }, {name: h}]")
    assert read_rules(tmp_path) == {
        "a.yml": {"groups": [{"name": "g", "rules": []}, {"name": "h", "rules": []}]}
    }


def test_objects_of_the_operator_and_several_documents(tmp_path: Path) -> None:
    """Each document becomes a file; what is of another kind is named."""
    other = "apiVersion: v1\nkind: ConfigMap\ndata: {}\n"
    write(tmp_path, a_yml=f"{OBJECT}---\n{GROUP}---\n{other}")
    assert alerts(tmp_path) == {"a.yml": ["B"], "a-2.yml": ["A"]}
    notes = read_rule_set(tmp_path).notes
    assert any("ConfigMap is left out" in note for note in notes)
    assert any("3 documents, all of which are played" in note for note in notes)


def test_keys_of_thanos_and_files_without_rules_are_named(tmp_path: Path) -> None:
    """Nothing is left out in silence."""
    text = "groups: [{name: g, partial_response_strategy: warn, rules: []}]"
    write(tmp_path, a_yml=text, tests_yml="rule_files: [a.yml]\ntests: []\n")
    found = read_rule_set(tmp_path)
    assert list(found.files) == ["a.yml"]
    assert found.files["a.yml"].document == {"groups": [{"name": "g", "rules": []}]}
    assert found.notes == (
        f"{tmp_path / 'a.yml'}: `partial_response_strategy` of group g is not used by Prometheus",
        f"{tmp_path / 'tests.yml'} is left out: it has no rule groups",
    )


MISTAKES = {
    "unknown key of a rule": (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    fro: 5m\n",
        ":6: A has an unknown key fro: did you mean for?",
    ),
    "unknown key of a group": (
        "groups:\n- name: g\n  intervall: 1m\n  rules: []\n",
        ":3: group g has an unknown key intervall: did you mean interval?",
    ),
    "unknown key of the file": ("\ngroup: []\n", ":2: the file has an unknown key group: did you"),
    "repeated group": (
        "groups:\n- {name: g, rules: []}\n- {name: g, rules: []}\n",
        ":3: group g is repeated",
    ),
    "group without a name": ("groups:\n- rules: []\n", ":2: a group has no name"),
    "rule without expr": ("groups: [{name: g, rules: [{alert: A}]}]", ":1: A has no expr"),
    "rule without a name": (
        "groups: [{name: g, rules: [{expr: up}]}]",
        ":1: a rule of group g has neither alert nor record",
    ),
    "both names": (
        "groups: [{name: g, rules: [{expr: up, alert: A, record: b}]}]",
        ":1: A has both alert and record",
    ),
    "duration": (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    for: 5 minutes\n",
        ":6: for of A: '5 minutes' is not a valid duration",
    ),
    "interval": ("groups: [{name: g, interval: 1.5m}]", ":1: interval of group g: '1.5m' is not"),
    "labels": (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: [a]\n",
        ":6: labels of A must be a mapping",
    ),
    "nested annotation": (
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, annotations: {a: {b: c}}}\n",
        ":4: annotations.a of A must be a text",
    ),
    "template without quotes": (
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, annotations: {a: {{ $value }}}}\n",
        ":4: while constructing a mapping",
    ),
    "list of rules": ("groups:\n- name: g\n  rules: {alert: A}\n", ":3: rules of group g must be"),
    "limit": (
        "groups: [{name: g, limit: many, rules: []}]\n",
        ":1: limit of group g must be a whole",
    ),
    "no mapping": ("- a\n", ":1: a rules file must be a mapping"),
    "broken YAML": ("groups:\n- name: g\n  rules: [\n", ":4: "),
    "key twice": ("groups: []\nrules: 1\ngroups: []\n", ":3: line 3: the key 'groups' stands"),
    "object of the operator": (
        OBJECT.replace("expr", "exp"),
        ":8: B has an unknown key exp: did you mean expr?",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    """As an editor would want it: file, line, what is wrong, and the nearest right word."""
    text, wanted = MISTAKES[name]
    write(tmp_path, a_yml=text)
    with pytest.raises(UsageError) as caught:
        read_rules(tmp_path)
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"{tmp_path / 'a.yml'}{wanted}") for line in lines), lines


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Over all files, a line each; a great many are counted."""
    write(tmp_path, a_yml="groups: [{name: g, rules: [{alert: A}]}]", b_yml="groups: 5\n")
    with pytest.raises(UsageError) as caught:
        read_rules(tmp_path)
    assert [line.rpartition("/")[2] for line in str(caught.value).splitlines()] == [
        "a.yml:1: A has no expr",
        "b.yml:1: groups of the file must be a list",
    ]
    write(tmp_path, b_yml="groups: [{name: g, rules: [" + "{alert: A}," * 50 + "]}]")
    with pytest.raises(UsageError, match="and 31 more"):
        read_rules(tmp_path)


def test_a_missing_path_and_a_folder_without_rules_are_told_apart(tmp_path: Path) -> None:
    """Each says what to give."""
    with pytest.raises(UsageError, match="none does not exist"):
        read_rules(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no rules"):
        read_rules(tmp_path)


def test_texts_are_as_prometheus_reads_them(tmp_path: Path) -> None:
    """YAML's truths, numbers, dates and nothing are texts wherever Prometheus wants one."""
    rule = """\
    groups:
      - name: on
        labels: {yes: 1_000}
        rules:
          - alert: off
            expr: 010
            for: 0
            labels: {severity: no, version: 1.10, day: 2024-01-01, time: 12:30:45, empty: ~}
            annotations: {summary: 0x1F}
    """
    (group,) = read_rules(write(tmp_path, a_yml=rule))["a.yml"]["groups"]
    assert (group["name"], group["labels"]) == ("on", {"yes": "1_000"})
    labels = {"severity": "no", "version": "1.10", "day": "2024-01-01", "time": "12:30:45"}
    assert group["rules"] == [
        {
            "alert": "off",
            "expr": "010",
            "for": "0",
            "labels": labels | {"empty": ""},
            "annotations": {"summary": "0x1F"},
        }
    ]


def test_lists_of_objects(tmp_path: Path) -> None:
    """As `kubectl get prometheusrules -o yaml` prints them, whose items may lack their kind."""
    item = textwrap.indent(OBJECT, "  ").replace("  api", "- api", 1)
    bare = textwrap.indent(OBJECT.partition("spec:")[2], "  ").replace("  ", "- spec:\n  ", 1)
    other = "- {apiVersion: v1, kind: ConfigMap}\n"
    write(
        tmp_path,
        a_yml=f"apiVersion: v1\nkind: List\nitems:\n{item}{other}",
        b_yml=f"kind: PrometheusRuleList\nitems:\n{bare}",
        c_yml=f"kind: List\nitems:\n{item.replace('up == 0', '')}",
    )
    with pytest.raises(UsageError, match=r"c\.yml:10: B has no expr") as refused:
        read_rules(tmp_path)
    assert "\n" not in str(refused.value)
    (tmp_path / "c.yml").unlink()
    assert alerts(tmp_path) == {"a.yml": ["B"], "b.yml": ["B"]}
    assert "ConfigMap is left out" in read_rule_set(tmp_path).notes[0]


def test_linked_folders_are_read_and_links_without_an_end_are_not(tmp_path: Path) -> None:
    """What can't be read there is a mistake, not silence."""
    write(tmp_path, team__a_yml=GROUP, mine__b_yml=GROUP)
    (tmp_path / "mine" / "others").symlink_to(tmp_path / "team")
    (tmp_path / "team" / "up").symlink_to(tmp_path / "mine")
    assert sorted(alerts(tmp_path / "mine")) == ["a.yml", "b.yml"]
    (tmp_path / "mine" / "gone.yml").symlink_to("nowhere")
    os.mkfifo(tmp_path / "mine" / "pipe.rules")
    found = [str(each) for each in read_rule_set(tmp_path / "mine").mistakes]
    assert [each.partition("mine/")[2] for each in found] == [
        "gone.yml: No such file or directory",
        "pipe.rules: not a regular file",
    ]


def test_a_mistake_stands_where_it_was_made(tmp_path: Path) -> None:
    """Not where a value was merged from that it takes the place of."""
    text = """\
    groups:
      - name: g
        rules:
          - &first {alert: A, expr: up == 0, for: 5m}
          - <<: *first
            alert: B
            for: 10 m
    """
    (mistake,) = read_rule_set(write(tmp_path, a_yml=text)).mistakes
    assert (mistake.line, mistake.reason.partition(":")[0]) == (7, "for of B")


def test_a_file_that_no_configuration_is_as_large_as(tmp_path: Path) -> None:
    """It is refused before it fills the memory."""
    path = tmp_path / "large.yml"
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(UsageError, match="it holds over 67,108,864 bytes"):
        read_rules(path)
