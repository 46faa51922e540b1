"""What every node check keeps to, whatever it looks at."""

from typing import ClassVar

from dlroverd.plugin_api import CheckContext, CheckState, CheckVerdict, NodeCheck
from dlroverd.plugin_api.node_check import CheckSpec, broken_check, broken_verdict, spec_of
from dlroverd.plugin_host import wire


class NodeCheckConformance:
    """Set `make` to what makes your check, and `context` to one in which it can run here."""

    make: ClassVar[type[NodeCheck]]
    context: ClassVar[CheckContext] = CheckContext(node="n1", state_dir="/tmp", python="/usr/bin/python3")

    def test_what_it_says_of_itself_keeps_the_rules_and_stays(self) -> None:
        """A usable name, a level that there is, and a cap."""
        spec = spec_of(self.make())
        assert broken_check(spec) == ""
        assert spec_of(self.make()) == spec
        answer = wire.Returned(id=1, value=(spec,))
        assert wire.decode_answer(wire.encode_answer(answer)) == answer

    def test_its_verdict_keeps_the_rules_and_arrives_as_it_was_given(self) -> None:
        """A sentence, figures that are numbers; the agent gets it as one line of JSON."""
        verdict = self._run()
        assert broken_verdict(verdict) == ""
        answer = wire.Returned(id=1, value=verdict)
        assert wire.decode_answer(wire.encode_answer(answer)) == answer

    def test_it_can_run_again(self) -> None:
        """What it leaves behind is not in its own way, and its figures have the names they had."""
        names = [{figure.name for figure in self._run().figures} for _ in range(2)]
        assert names[0] == names[1]

    def _run(self) -> CheckVerdict:
        check = self.make()
        assert isinstance(check, NodeCheck), "it lacks a part of NodeCheck"
        assert isinstance(spec_of(check), CheckSpec)
        verdict = check.run(self.context)
        assert isinstance(verdict, CheckVerdict), f"run() returned {type(verdict).__name__}, where a verdict is wanted"
        assert isinstance(verdict.state, CheckState), f"run() found {verdict.state!r}, which is no CheckState"
        return verdict
