"""What a survey finds, held against what the agent knows: only what is sure is mended, and each is told once."""

from dataclasses import replace

from dlroverd_agent.core import RankChanged, Surveyed, SurveyFailed
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model.difference import KEPT
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from tests.unit.agent.test_core import ENDED, KILLED, Node, desired, key, running, seen

BOTH = frozenset({key(1, 0), key(1, 1)})
ALIEN = RankKey(99, "trainer", 0, 1, 0)
AT = 1000.0


def survey(node: Node, alive: frozenset[RankKey], file: str = "") -> list[str]:
    """Give what follows from a survey, without the reports to the daemon."""
    return [line for line in node.did(Surveyed(alive=alive, at=AT, file=file)) if not line.startswith("Observed")]


def told(node: Node) -> list[tuple[str, str]]:
    return [(each.kind.value, each.mended) for each in node.core.observed().differences]


def test_where_all_agrees_nothing_is_said_or_done() -> None:
    node = running()
    version = node.core.version
    for _ in range(3):
        assert node.did(Surveyed(alive=BOTH, at=AT)) == []
    assert (node.core.version, told(node)) == (version, [])


def test_a_rank_that_is_twice_not_there_has_its_end_found_out_and_is_told_once() -> None:
    node = running()
    assert survey(node, BOTH - {key(1, 0)}) == ["SurveyAgain()"]
    assert told(node) == []
    for _ in range(2):
        assert survey(node, BOTH - {key(1, 0)}) == [f"FindEnd(key={key(1, 0)!r})"]
    assert told(node) == [("vanished", "it counts as ended, not as done")]
    assert node.listed() == ["1#0 running", "1#1 running"], "only the launcher says how it ended"


def test_what_changed_between_two_surveys_was_only_under_way() -> None:
    node = running()
    survey(node, BOTH - {key(1, 0)})
    node.sees(replace(seen(1, 0, RankState.RUNNING), pid=77))
    assert survey(node, BOTH - {key(1, 0)}) == ["SurveyAgain()"]
    survey(node, BOTH)
    assert survey(node, BOTH - {key(1, 0)}) == ["SurveyAgain()"], "it was there in between"
    node.sees(seen(1, 0, RankState.GONE, KILLED))
    assert survey(node, BOTH - {key(1, 0)}) == []
    assert told(node) == []


def test_processes_of_a_rank_that_is_gone_are_killed_again_and_again() -> None:
    node = running()
    node.sees(seen(1, 0, RankState.GONE, ENDED))
    assert survey(node, BOTH) == ["SurveyAgain()"]
    for _ in range(2):
        assert survey(node, BOTH) == [f"EndLeft(key={key(1, 0)!r})"]
    assert told(node) == [("left_over", "they are killed")]


def test_a_stray_is_listed_left_running_and_ended_when_the_daemon_says_that_its_round_is_over() -> None:
    node = running()
    later = key(2, 5)
    for strange in (ALIEN, later):
        survey(node, BOTH | {strange})
        assert survey(node, BOTH | {strange}) == []
        assert f"{strange.round}#{strange.rank} running" in node.listed()
        survey(node, BOTH)
        assert f"{strange.round}#{strange.rank} gone" in node.listed()
    assert told(node) == [("stray", ""), ("stray", "")]
    survey(node, BOTH | {later})
    survey(node, BOTH | {later})
    actions = node.take(desired(20, stop=2))
    assert f"EndLeft(key={later!r})" in actions
    assert not any("Stop 2#5" in line for line in actions)
    assert survey(node, BOTH | {later}) == [f"EndLeft(key={later!r})"]


def test_a_stray_of_a_round_that_is_over_is_killed_at_once() -> None:
    node = running()
    node.take(desired(20, run=1, stop=0))
    old = key(0, 3)
    survey(node, BOTH | {old})
    assert survey(node, BOTH | {old}) == [f"EndLeft(key={old!r})"]
    assert told(node) == [("stray", "it is killed")]


def test_no_world_starts_beside_a_stray_of_its_gang() -> None:
    node = Node()
    old = key(1, 0)
    survey(node, frozenset({old}))
    survey(node, frozenset({old}))
    assert not any("Start" in line for line in node.take(desired(10, run=2)))
    survey(node, frozenset())
    started = node.take(desired(11, run=2))
    assert [line for line in started if line.startswith("Start")] == ["Start 2#0", "Start 2#1"]


def test_a_file_that_differs_is_saved_again() -> None:
    node = running()
    assert survey(node, BOTH, file="it was changed") == ["Save A@10"]
    assert told(node) == [("file_changed", "it is written again")]


def test_surveys_that_fail_alike_are_one_difference() -> None:
    node = running()
    for why in ("late", "late", "no answer"):
        node.did(SurveyFailed(why=why, at=AT))
    survey(node, BOTH)
    node.did(SurveyFailed(why="late", at=AT))
    assert told(node) == [("survey_failed", "")] * 3


def test_an_audit_has_all_told_again_and_only_once() -> None:
    node = running()
    audited = replace(desired(10, run=1), audit=1)
    assert node.take(audited) == ["SurveyAgain()", "Observed @10"]
    assert node.take(audited) == []
    assert node.take(replace(audited, audit=2)) == ["SurveyAgain()", "Observed @10"]


def test_a_survey_that_an_audit_began_is_told_of_when_it_leaves_no_doubt() -> None:
    node = running()
    node.take(replace(desired(10, run=1), audit=3))
    assert survey(node, BOTH - {key(1, 0)}) == ["SurveyAgain()"]
    assert node.core.observed().surveyed == 0
    assert node.did(Surveyed(alive=BOTH, at=AT)) == ["Observed @10"]
    assert node.core.observed().surveyed == 3
    node.take(replace(desired(10, run=1), audit=4))
    node.did(SurveyFailed(why="systemd does not answer", at=AT))
    assert node.core.observed().surveyed == 4, "that is a difference, and no longer wait brings more"


@given(
    st.lists(st.tuples(st.frozensets(st.sampled_from(sorted(BOTH | {ALIEN, key(0, 0)}))), st.booleans()), max_size=40)
)
def test_whatever_surveys_say_no_rank_is_stopped_or_started_and_little_is_kept(
    surveys: list[tuple[frozenset[RankKey], bool]],
) -> None:
    node = running()
    for alive, ends in surveys:
        actions = survey(node, alive)
        assert not any(line.startswith(("Start", "Stop", "Forget")) for line in actions)
        assert f"EndLeft(key={ALIEN!r})" not in actions
        if ends:
            node.did(RankChanged(seen(1, 0, RankState.GONE, ENDED)))
        assert len(told(node)) <= KEPT
