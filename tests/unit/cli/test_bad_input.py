"""What a user types wrong: one line that says what to do, and exit code 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.console import errors, out, say

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("run nonsense", "there is no scenario 'nonsense'; choose from"),
        ("run normal --without api", "--without may name: collector"),
        ("run normal --data absent.csv", "absent.csv"),
        ("run normal --use-case houses", "houses"),
        ("run normal --time-scale 900", "samples"),
        ("run normal --rules absent", "absent"),
        ("run normal --alertmanager absent.yml", "cannot read absent.yml: No such file"),
        ("run normal --alertmanager a.yml --without receiver", "--alertmanager needs the receiver"),
        ("run normal --alertmanager a.yml --stack s.json", "a running stack has its own"),
        ("run normal --prometheus absent.yml", "cannot read absent.yml: No such file"),
        ("run normal --prometheus a.yml --stack s.json", "--prometheus: a running stack has"),
        ("run", "name a scenario (testbed scenarios lists them), or give --all"),
        ("run demo --all", "--all plays every scenario as it ships: leave out a scenario"),
        ("run --all --rules mine --keep", "leave out --rules, --keep"),
        ("run --all --alertmanager a.yml", "leave out --alertmanager"),
        ("run --all --prometheus a.yml", "leave out --prometheus"),
        ("report nothing", "no run"),
        ("compare nothing something", "no run"),
        ("load normal --users 2 --rate 3", "give one of --users, --rate and --shape"),
        ("load normal --html /", "--html: / can't be written: Is a directory"),
        ("load normal --html /proc/load.html", "--html: /proc/load.html can't be written"),
        ("load normal --csv /proc/no/load", "--csv: /proc/no/load can't be written"),
        (
            "load normal --otlp-endpoint localhost:4318",
            "--otlp-endpoint: 'localhost:4318' is neither",
        ),
        (
            "load normal --otlp-endpoint http://127.0.0.1:99999",
            "--otlp-endpoint: 'http://127.0.0.1",
        ),
        ("load normal --rate inf -n 5", "rate must be a finite number, not inf"),
        ("load normal --bind nowhere", "--bind: 'nowhere' is not an address and a port"),
        ("load normal --bind a..b:5557", "--bind: a..b:5557 can't be listened on: no host can"),
        ("load normal --bind 192.0.2.1:5557", "--bind: 192.0.2.1:5557 can't be listened on"),
        ("load-worker nohost --plan p.json --host http://a", "MASTER: 'nohost' is not an address"),
        (
            "load-worker 127.0.0.1:1 --plan absent.json --host http://a",
            "testbed: cannot read the load plan absent.json: No such file or directory",
        ),
        ("clean --older-than soon", "soon"),
        ("capacity --host http://127.0.0.1:1 --step 1 --start 2", "nothing answers at http://127"),
    ],
)
def test_bad_input_is_one_clear_line(
    line_of: Callable[..., str], words: str, complaint: str
) -> None:
    """No traceback, and nothing else but progress before it."""
    assert complaint in line_of(*words.split())


def test_words_between_colons_stay(capsys: pytest.CaptureFixture[str]) -> None:
    """Recorded series have such names; they are no emoji."""
    errors.print("a:x:b", markup=False)
    say("a:x:b")
    out.print("a:x:b")
    printed = capsys.readouterr()
    assert (printed.err, printed.out) == ("a:x:b\na:x:b\n", "a:x:b\n")
