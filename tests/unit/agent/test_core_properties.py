"""The agent's core against an honest daemon whose words are lost, doubled and late, and which is wiped now and then."""

from dataclasses import replace

from dlroverd_agent import core
from dlroverd_agent.core import AgentCore, Followed
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import JobSpec, RankState, RoleSpec, User
from dlroverd.model.world import Assignment, Desired, JobDescriptor, RankObservation, Tombstone

SPEC = JobSpec(
    name="any", user=User(uid=1, gid=1, name="ann"), roles=(RoleSpec(argv=("/bin/true",), cwd="/", nproc_per_node=2),)
)
GANGS = [GangKey(job, "trainer", 0) for job in (1, 2)]
WHICH = st.sampled_from(GANGS)


def part(gang: GangKey, round_: int) -> Assignment:
    return Assignment(
        round=gang.at(round_),
        world_size=2,
        group_rank=0,
        group_world_size=1,
        first_rank=0,
        nproc=2,
        master_addr="127.0.0.1",
        master_port=20000,
        restart_count=0,
    )


class AgentMachine(RuleBasedStateMachine):
    """The daemon's side, and the node's: the processes that are, over all lives of the agent."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.log = "A"
        self.position = 1
        self.rounds = dict.fromkeys(GANGS, 0)
        self.running: set[GangKey] = set()
        self.stopping: set[GangKey] = set()
        self.sent: list[Desired] = []
        self.heard: list[Desired] = []  # in this life of the agent
        self.oldest = 0  # of `sent`, that may still come: a session's words die with it
        self.processes: dict[RankKey, RankObservation] = {}
        self.started: set[RankKey] = set()
        self.stopped: set[RankKey] = set()
        self.buried: dict[GangKey, int] = {}
        self.disk = Followed()
        self.agent = AgentCore("n1", self.disk)
        self.give(core.Recovered(()))
        self.give(core.Connected(self.agent.version))

    def give(self, item: core.Input, carried_out: int | None = None) -> None:
        """Hand over an input and carry out what follows, or only the first so many actions: then it is killed."""
        self.now += 1.0
        for action in self.agent.handle(item, self.now)[:carried_out]:
            match action:
                case core.Start():
                    assert action.key not in self.started, "started twice"
                    assert action.key.round > self.buried.get(action.key.gang_key, 0), "a stop wins"
                    others = [
                        key
                        for key, seen in self.processes.items()
                        if key.gang_key == action.key.gang_key and key.round != action.key.round
                        if seen.state is not RankState.GONE
                    ]
                    assert not others, "two rounds side by side"
                    assert any(action.assignment in each.assignments for each in self.heard), "nobody said so"
                    assert self.disk.held.assignments.count(action.assignment) == 1, "acted before it was kept"
                    self.started.add(action.key)
                    self.processes[action.key] = RankObservation(key=action.key, state=RankState.STARTING)
                case core.Stop():
                    assert action.key.round <= self.buried.get(action.key.gang_key, 0), "only a tombstone stops"
                    self.stopped.add(action.key)
                case core.Forget():
                    assert self.processes.pop(action.key).state is RankState.GONE, "forgot what is alive"
                case core.SaveFollowed():
                    self.disk = action.followed

    def desired(self) -> Desired:
        return Desired(
            log_id=self.log,
            position=self.position,
            jobs=tuple(JobDescriptor(job=gang.job, spec=SPEC) for gang in sorted(self.running)),
            assignments=tuple(part(gang, self.rounds[gang]) for gang in sorted(self.running)),
            tombstones=tuple(
                Tombstone(round=gang.at(self.rounds[gang]), grace_s=1.0, evidence_s=0.5, reason="fault")
                for gang in sorted(self.stopping)
            ),
        )

    def changed(self) -> None:
        self.position += 1
        self.sent.append(self.desired())

    @rule(gang=WHICH)
    def forms_a_world(self, gang: GangKey) -> None:
        """Without a look at what became of the one before: that two do not run together is the agent's duty, too."""
        if gang not in self.stopping:
            self.rounds[gang] += 1
            self.running.add(gang)
            self.changed()

    @rule(gang=WHICH)
    def stops_a_world(self, gang: GangKey) -> None:
        if gang in self.running:
            self.running.remove(gang)
            self.stopping.add(gang)
            self.changed()

    @rule(gang=WHICH)
    def hears_that_a_stop_is_over(self, gang: GangKey) -> None:
        observed = self.agent.observed()
        alive = [each for each in observed.ranks if each.key.gang_key == gang and each.state is not RankState.GONE]
        if gang in self.stopping and observed.position == self.position and not alive:
            self.stopping.remove(gang)
            self.changed()

    @rule(data=st.data())
    def a_message_arrives(self, data: st.DataObject) -> None:
        """Any that was sent in this session: the newest, a late one, one for the second time."""
        if self.sent:
            newest = len(self.sent) - 1
            wanted = self.sent[data.draw(st.integers(self.oldest, newest) | st.just(newest))]
            before = self.agent.followed.position
            if wanted.position >= before:
                for each in wanted.tombstones:
                    gang = each.round.gang_key
                    self.buried[gang] = max(each.round.round, self.buried.get(gang, 0))
            self.heard.append(wanted)
            killed_after = data.draw(st.none() | st.integers(0, 4))
            self.give(core.DesiredArrived(wanted), killed_after)
            assert self.agent.followed.position == max(before, wanted.position), "went back"
            if killed_after is not None:
                self.the_agent_is_killed_and_returns()

    @rule(stop=WHICH)
    def a_wiped_daemon_speaks(self, stop: GangKey) -> None:
        before = self.agent.observed(), self.agent.followed
        tombstone = Tombstone(round=stop.at(99), grace_s=0.0, evidence_s=0.0, reason="nonsense")
        if self.agent.followed.log_id:
            self.give(core.DesiredArrived(Desired(log_id="B", position=999, tombstones=(tombstone,))))
            assert (self.agent.observed(), self.agent.followed) == before

    @rule(data=st.data(), state=st.sampled_from([RankState.RUNNING, RankState.EXITED, RankState.GONE]))
    def a_rank_moves(self, data: st.DataObject, state: RankState) -> None:
        if self.processes:
            key = data.draw(st.sampled_from(sorted(self.processes)))
            exit_ = None if state is RankState.RUNNING else ExitInfo(exited_at=1.0, code=0)
            order = list(RankState)
            if order.index(state) > order.index(self.processes[key].state):
                self.processes[key] = replace(self.processes[key], state=state, exit=exit_)
            self.give(core.RankChanged(self.processes[key]))

    @rule()
    def is_killed(self) -> None:
        self.the_agent_is_killed_and_returns()

    def the_agent_is_killed_and_returns(self) -> None:
        self.agent, self.heard = AgentCore("n1", self.disk), []
        self.oldest = max(0, len(self.sent) - 1)
        self.give(core.Recovered(tuple(self.processes.values())))
        self.give(core.Connected(self.agent.version))

    @rule(online=st.booleans())
    def the_session_comes_and_goes(self, online: bool) -> None:
        self.give(core.Connected(self.agent.version) if online else core.Disconnected())

    @invariant()
    def all_that_runs_is_listed(self) -> None:
        listed = {each.key for each in self.agent.observed().ranks}
        assert set(self.processes) <= listed

    @invariant()
    def all_that_is_to_run_here_is_listed_once_it_was_said(self) -> None:
        """What is not listed at a position, the daemon takes for lost."""
        if self.sent and self.agent.followed.position == self.sent[-1].position:
            listed = {each.key for each in self.agent.observed().ranks}
            for assignment in self.sent[-1].assignments:
                assert listed.issuperset(assignment.ranks())


AgentMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAgent = AgentMachine.TestCase
