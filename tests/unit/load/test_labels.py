"""Labels that wait until they may be known."""

from __future__ import annotations

from testbed_load.labels import BATCH, DelayedLabels
from testbed_load.plan import LabelPlan


def test_a_label_is_due_after_its_delay() -> None:
    """Not before, and then once, in the order of the answers."""
    labels = DelayedLabels(LabelPlan(1.0, 2.0), seed=1)
    labels.add(0, "a", 1, now=10.0)
    labels.add(1, "b", 0, now=10.5)
    assert labels.take(11.9) == []
    assert [(item.prediction_id, item.label) for item in labels.take(12.0)] == [("a", 1)]
    assert [item.prediction_id for item in labels.take(99.0)] == ["b"]
    assert len(labels) == 0


def test_a_batch_is_bounded() -> None:
    """A service takes a limited number of labels at once."""
    labels = DelayedLabels(LabelPlan(1.0, 0.0), seed=1)
    for seq in range(BATCH + 1):
        labels.add(seq, str(seq), 1, now=0.0)
    assert [len(labels.take(0.0)) for _ in range(3)] == [BATCH, 1, 0]


def test_the_seed_alone_chooses_whose_labels_come() -> None:
    """About the share that was asked for, and the same ones each time."""
    chosen = [
        [seq for seq in range(4000) if DelayedLabels(LabelPlan(0.25, 0), seed).chosen(seq)]
        for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert 900 < len(chosen[0]) < 1100


def test_all_and_none_are_exact() -> None:
    """A share of 1 misses no label, a share of 0 sends none."""
    for ratio, expected in ((1.0, 1000), (0.0, 0)):
        labels = DelayedLabels(LabelPlan(ratio, 0), seed=3)
        for seq in range(1000):
            labels.add(seq, str(seq), 1, now=0.0)
        assert len(labels) == expected
