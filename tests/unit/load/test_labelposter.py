"""The thread that tells a service its labels."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# In a process of its own: Locust turns the threads of a process into greenlets.
POSTING = """
import json, os, sys, time
from types import SimpleNamespace
from locust.env import Environment
from testbed_load.labels import DelayedLabel
from testbed_load.labeltemplate import LabelTemplate
from testbed_load.users import LabelPoster
ids = [*json.loads(sys.argv[1]), "last"]
batches = [[DelayedLabel(seq, each, 1, 0.0)] for seq, each in enumerate(ids)]
posted, sent = [], []
truth = SimpleNamespace(labels=lambda sent_at, status, seqs: posted.append([status, *seqs]))
template = LabelTemplate(**json.loads(sys.argv[2]))
plan = SimpleNamespace(service=SimpleNamespace(labels=template), timeout=1)
labels = SimpleNamespace(take=lambda now: batches.pop(0) if batches and now > clock[0] else [])
clock = [float(sys.argv[3])]
playback = SimpleNamespace(plan=plan, clock=lambda: 1.0, labels=labels, truth=truth)
poster = LabelPoster(Environment(host="http://127.0.0.1:1"), playback, {})
def request(*args, **options):
    sent.append(args)
    return SimpleNamespace(status_code=204)
asked = poster._client.request
poster._client.request = lambda *args, **options: (
    request() if args[1].endswith("last") or "last" in options["headers"].values()
    else asked(*args, **options)
)
time.sleep(0.5)
poster.finish()
print(json.dumps(posted))
sys.stdout.flush()
os._exit(0)
"""
UNSENDABLE = ["\u4e2d", "a\r\nX-Evil: 1", "\ud800", " a"]


def posted(template: Mapping[str, object], ids: list[str], *, at_the_end: bool) -> list[list[int]]:
    """Status and number of each label."""
    words = (json.dumps(ids), json.dumps(template), "2" if at_the_end else "0")
    found = subprocess.run(
        [sys.executable, "-c", POSTING, *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    made: list[list[int]] = json.loads(found.stdout)
    return made


def test_a_label_that_can_not_be_sent_does_not_hold_up_the_next() -> None:
    """An id is whatever the service answered; in the midst of the load, and once it is over."""
    by_header = {"path": "/l", "headers": {"X-Of": "{id}"}}
    for at_the_end in (False, True):
        found = posted(by_header, UNSENDABLE, at_the_end=at_the_end)
        assert found == [*([None, seq] for seq in range(len(UNSENDABLE))), [204, len(UNSENDABLE)]]
    by_path = {"path": "/{id}", "body": {"label": "{label}"}}
    assert posted(by_path, ["\ud800"], at_the_end=False) == [[None, 0], [204, 1]]
