"""A small fleet for transcripts: the daemon's core and an agent's core for each node, played by commands.

Messages arrive at once unless a node is silent. The scheduler is the built-in rule unless a command says otherwise.
"""

from collections.abc import Callable
from dataclasses import asdict, replace

from dlroverd_agent import core as agent

from dlroverd.core import out_of_use, reasons
from dlroverd.core.desired import desired
from dlroverd.core.folds.ledgers import ledger_of
from dlroverd.core.handle import Decision, handle
from dlroverd.core.passes import preempt, requests
from dlroverd.core.state import State
from dlroverd.core.turn import Refused
from dlroverd.model import input as inp
from dlroverd.model.checkpoint import StagedCheckpoint
from dlroverd.model.fault import PORT_TAKEN, REBOOTED, ErrorReport, ExitInfo
from dlroverd.model.hold import DrainMode, HoldKind
from dlroverd.model.ids import GangKey, RankKey, RoundKey
from dlroverd.model.job import JobState, RankState
from dlroverd.model.limits import Limits
from dlroverd.model.node import Device, DeviceObservation, DeviceState, NodeDomains, NodeFacts
from dlroverd.model.placement import GangPlacement, NoFit, Placement, Preempt
from dlroverd.model.quota import Quota
from dlroverd.model.reputation import AutomationStage
from dlroverd.model.spooled import EventBatch, EventKind, SpooledEvent
from dlroverd.model.victims import place_or_preempt
from dlroverd.model.world import DrillKind, NodeCheck, Observed, Progress, RankObservation
from tests.transcripts import jobs, writing

_PEER_LOST = "Connection closed by peer [127.0.0.1]:41234"


class _Node:
    def __init__(self, name: str, boot: str, facts: NodeFacts) -> None:
        self.name = name
        self.boot = boot
        self.facts = facts
        self.devices = facts.devices
        self.core = agent.AgentCore(name, agent.Followed())
        self.reachable = True
        self.stopping: set[RankKey] = set()
        self.reports: list[Observed] = []


class Stage:
    """Takes commands, one line each; `lines` is what came of the last one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.decisions: list[Decision] = []
        self.state = State("log1")
        self._limits = Limits()
        self._now = writing.BEGIN
        self._nodes: dict[str, _Node] = {}
        self._scheduler = "fifo"
        self._requests = 0
        self._said = 0
        self._commands: dict[str, Callable[[list[str]], None]] = {
            name.removeprefix("do_"): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    def play(self, line: str) -> list[str]:
        self.lines = []
        verb, *words = line.split()
        self._commands[verb](words)
        return self.lines or ["(nothing)"]

    # ---- nodes

    def do_node(self, words: list[str]) -> None:
        """node n1 slots 2 [devices 2] [peer 7711] [leases no] [memory 100]: a host says hello; `memory` in GiB.

        With `peer` it answers others.
        """
        name, options = words[0], _options(words[1:])
        devices = tuple(
            Device(uuid=f"{name}-gpu{number}", model="H", memory_bytes=1)
            for number in range(int(options.get("devices", "0")))
        )
        slots = int(options.get("slots", "0")) or len(devices)
        facts = NodeFacts(
            hostname=name,
            address=name,
            cpus=slots,
            memory_bytes=int(options.get("memory", "100")) << 30,
            slots=slots,
            devices=devices,
            port_high=20009,
            addresses=(name, f"{name}-b"),
            peer_port=int(options.get("peer", "0")),
            keeps_leases=options.get("leases") != "no",
        )
        self._nodes[name] = _Node(name, "b1", facts)
        self._nodes[name].core.handle(agent.Recovered(()), self._now)
        self._hello(self._nodes[name])

    def do_hello(self, words: list[str]) -> None:
        """hello n1 [boot b2] [devices 1]: it connects anew; with another boot id all it ran is gone."""
        node = self._nodes[words[0]]
        node.reachable = True
        options = _options(words[1:])
        boot = options.get("boot", node.boot)
        if "devices" in options:
            node.facts = replace(node.facts, devices=node.devices[: int(options["devices"])])
        if boot != node.boot:
            node.boot, node.stopping = boot, set()
            gone = ExitInfo(exited_at=self._now, lost=REBOOTED)
            found = tuple(
                replace(seen, state=RankState.GONE, exit=seen.exit or gone)
                for seen in node.core.observed().ranks
                if seen.state is not RankState.ASSIGNED
            )
            node.core = agent.AgentCore(node.name, node.core.followed)
            node.core.handle(agent.Recovered(found), self._now)
        self._hello(node)

    def do_amnesia(self, words: list[str]) -> None:
        """amnesia n1: the agent's records are deleted; it ends what it finds unrecorded and connects anew."""
        node = self._nodes[words[0]]
        node.core = agent.AgentCore(node.name, agent.Followed())
        node.stopping = set()
        self._hello(node)

    def do_silent(self, words: list[str]) -> None:
        """silent n1 [n2 ...]: nothing passes any more, and the limit is over."""
        for name in words:
            self._nodes[name].reachable = False
            self._nodes[name].core.handle(agent.Disconnected(), self._now)
        self._turn(*(inp.NodeSilent(node=name) for name in words))

    def do_still_silent(self, words: list[str]) -> None:
        """still_silent n1 35: nothing has been heard of it for so many seconds."""
        self._turn(inp.StillSilent(node=words[0], silent_s=float(words[1])))

    def do_topology(self, words: list[str]) -> None:
        """topology switch s1 n1,n2 switch s2 n3 pdu p1 n1,n2,n3: what the nodes share."""
        found: dict[str, list[tuple[str, str]]] = {}
        for kind, name, nodes in zip(words[::3], words[1::3], words[2::3], strict=True):
            for node in nodes.split(","):
                found.setdefault(node, []).append((kind, name))
        domains = tuple(NodeDomains(node=node, domains=tuple(shared)) for node, shared in sorted(found.items()))
        self._turn(inp.TopologySet(pack_by=(), nodes=domains))

    def do_adopt(self, words: list[str]) -> None:
        """adopt n1: a person says that this log takes the place of the one it follows."""
        self._turn(inp.AdoptNode(node=words[0], actor="ann"))

    def do_checked(self, words: list[str]) -> None:
        """checked n1 reached n2,n2-b | problem why | mismatch what: it has looked at the world that it is to start."""
        node, kind, found = self._nodes[words[0]], words[1], " ".join(words[2:])
        for assignment in node.core.followed.held.assignments:
            if assignment.checking:
                blank = NodeCheck(round=assignment.round)
                check = {
                    "reached": replace(blank, reached=tuple(found.split(","))),
                    "problem": replace(blank, problem=found),
                    "mismatch": replace(blank, mismatch=found, reached=("n1", "n1-b")),
                }[kind]
                self._feed(node, agent.Checked(assignment, check))

    def do_call(self, words: list[str]) -> None:
        """call n2 n1 answered | failed: n2 has called the silent n1."""
        self._feed(self._nodes[words[0]], agent.SuspectCalled(words[1], words[2] == "answered"))

    def do_device(self, words: list[str]) -> None:
        """device n1 n1-gpu0 ok | busy | lost [why]: how an accelerator is seen."""
        node, seen = (
            self._nodes[words[0]],
            DeviceObservation(uuid=words[1], state=DeviceState(words[2]), detail=" ".join(words[3:])),
        )
        others = tuple(each for each in node.core.observed().devices if each.uuid != seen.uuid)
        self._feed(node, agent.DevicesSeen((*others, seen)))

    def do_confirm(self, words: list[str]) -> None:
        """confirm n1: a person says that it is down."""
        self._turn(inp.ConfirmDown(node=words[0], actor="ann"))

    def do_drill(self, words: list[str]) -> None:
        """drill kill_rank 1/trainer/0#1 | drill lose_node n1: a person wants a fault made."""
        kind, where = DrillKind(words[0]), words[1]
        gang, rank = None, 0
        if "#" in where:
            job, role, rest = where.split("/")
            gang, rank, where = GangKey(int(job), role, int(rest.partition("#")[0])), int(rest.partition("#")[2]), ""
        order = inp.OrderDrill(
            request_id=self._request(words[1:]), kind=kind, actor="ann", gang=gang, rank=rank, node=where, for_s=10.0
        )
        self._turn(order)

    def do_hold(self, words: list[str]) -> None:
        """hold drain n1,n2 [owner ann] [mode now] [within 60] [reboot yes] [until_checked yes] [why noise]."""
        options = _options(words[2:])
        self._turn(
            inp.HoldNodes(
                request_id=self._request(words[1:]),
                nodes=tuple(words[1].split(",")),
                kind=HoldKind(words[0]),
                owner=options.get("owner", "ann"),
                actor="root",
                reason=options.get("why", "noise"),
                mode=DrainMode(options.get("mode", "finish")),
                deadline_s=float(options.get("within", "0")),
                reboot="reboot" in options,
                until_checked="until_checked" in options,
            )
        )

    def do_release(self, words: list[str]) -> None:
        """release n1,n2 [owner ann] [kind drain] [set_by r]: its owner lets go."""
        options = _options(words[1:])
        kind = HoldKind(options["kind"]) if "kind" in options else None
        nodes, owner, set_by = tuple(words[0].split(",")), options.get("owner", "ann"), options.get("set_by", "")
        self._turn(
            inp.ReleaseNodes(
                request_id=self._request(words), nodes=nodes, owner=owner, actor="root", kind=kind, request=set_by
            )
        )

    def do_automation(self, words: list[str]) -> None:
        """automation pause why | resume | observe | advise | act: what it does by itself."""
        match words[0]:
            case "pause":
                self._turn(inp.PauseAutomation(actor="ann", reason=" ".join(words[1:])))
            case "resume":
                self._turn(inp.ResumeAutomation(actor="ann"))
            case stage:
                limits = replace(self._limits.automation, quarantine=AutomationStage(stage))
                self._limits = replace(self._limits, automation=limits)

    def do_wipe(self, words: list[str]) -> None:
        """wipe: the daemon has lost its state, and begins a log of another id."""
        assert not words
        self.state = State("log2")
        for node in self._nodes.values():
            node.core.handle(agent.Disconnected(), self._now)

    def do_repeat(self, words: list[str]) -> None:
        """repeat n1 [2]: the last report (or the one so many before it) arrives again."""
        back = int(words[1]) if len(words) > 1 else 1
        self._turn(inp.NodeReport(node=words[0], observed=self._nodes[words[0]].reports[-back]))

    # ---- ranks

    def do_run(self, words: list[str]) -> None:
        """run 1 [n2 ...]: what was started of a job runs."""
        for node, seen in self._ranks(words, RankState.ASSIGNED, RankState.STARTING):
            pid = 100 + seen.key.rank
            moved = RankObservation(key=seen.key, state=RankState.RUNNING, pid=pid, started_at=self._now)
            self._feed(node, agent.RankChanged(moved))

    def do_exit(self, words: list[str]) -> None:
        """exit 1/trainer/0#1 signal 9 | code 3 | oom | error Type message | peer | port | launch why [after 31].

        `after`: the last training step that was seen of it.
        """
        node, seen = self._rank(words[0])
        end, _, step = " ".join(words[1:]).partition(" after ")
        exit_ = replace(self._exit(end.split()), step=int(step or -1))
        self._feed(node, agent.RankChanged(replace(seen, state=RankState.EXITED, exit=exit_)))

    def do_stuck(self, words: list[str]) -> None:
        """stuck 1/trainer/0#1 [process]: KILL has not ended it for seconds; without a process it has after all."""
        node, seen = self._rank(words[0])
        self._feed(node, agent.RankChanged(replace(seen, unkillable=tuple(words[1:]))))

    def do_gone(self, words: list[str]) -> None:
        """gone 1 [n2 ...]: what has ended, or was to stop, is verified gone."""
        for node, seen in self._ranks(words, *(state for state in RankState if state is not RankState.GONE)):
            stopped = ExitInfo(exited_at=self._now, signal=15, requested=True)
            if seen.state is RankState.EXITED or seen.key in node.stopping:
                moved = replace(seen, state=RankState.GONE, exit=seen.exit or stopped)
                self._feed(node, agent.RankChanged(moved))

    def do_finish(self, words: list[str]) -> None:
        """finish 1 [n2 ...]: its ranks end with 0 and are gone."""
        for node, seen in self._ranks(words, RankState.RUNNING):
            done = ExitInfo(exited_at=self._now, code=0)
            self._feed(node, agent.RankChanged(replace(seen, state=RankState.GONE, exit=done)))

    def do_step(self, words: list[str]) -> None:
        """step 1/trainer/0@1 31: the first training step of a world is seen."""
        _, seen = self._rank(f"{words[0]}#0")
        self._turn(inp.GangStepped(progress=Progress(round=seen.key.round_key, step=int(words[1]), at=self._now)))

    def do_staged(self, words: list[str]) -> None:
        """staged n1 1 [s7=1/trainer/0@1:10:nfs ...]: what the vault of a job has staged, as save=round:step:place."""
        name, number, *saves = words
        job = int(number)
        staged = []
        for each in saves:
            save, _, about = each.partition("=")
            made, step, place = about.split(":")
            round_ = None
            if made:
                role, gang = made.split("/")[1:]
                round_ = RoundKey(job, role, int(gang.partition("@")[0]), int(gang.partition("@")[2]))
            staged.append(
                StagedCheckpoint(
                    job=job, round=round_, step=int(step), save=save, path="/p", place=place, size_bytes=8, manifest="m"
                )
            )
        self._feed(self._nodes[name], agent.SavesStaged(job, tuple(staged)))

    # ---- people, time, surroundings

    def do_submit(self, words: list[str]) -> None:
        """submit a [max_restarts 3 ...] [nnodes 1:2 nproc 2 ...] [role ps nnodes 1 restart_with ps ...]."""
        name, *rest = words
        heads = [index for index, word in enumerate(rest) if word == "role"] or [0]
        ends = [*heads[1:], len(rest)]
        general = _options(rest[: heads[0]]) if rest and rest[heads[0]] == "role" else _options(rest)
        roles = tuple(jobs.role(_options(rest[head:end])) for head, end in zip(heads, ends, strict=True))
        self._turn(inp.Submit(request_id=general.get("request", name), spec=jobs.spec(name, roles, general)))

    def do_quota(self, words: list[str]) -> None:
        """quota user ann [devices 4] [jobs 1]: what the operator's configuration says from now on."""
        kind, name, *rest = words
        options = {key: int(value) for key, value in _options(rest).items()}
        quota = Quota(kind=kind, name=name, devices=options.get("devices"), jobs=options.get("jobs"))
        self._limits = replace(self._limits, quotas=(*self._limits.quotas, quota))

    def do_limits(self, words: list[str]) -> None:
        """limits spare_nodes 1: another limit of the operator's, a number."""
        options = {key: int(value) for key, value in _options(words).items()}
        self._limits = replace(self._limits, **options)  # type: ignore[arg-type] # limits that are numbers

    def do_cancel(self, words: list[str]) -> None:
        """cancel 1 [request r]: a person ends a job."""
        self._turn(inp.Cancel(request_id=self._request(words), job=int(words[0]), actor="ann"))

    def do_restart(self, words: list[str]) -> None:
        """restart 1 [request r]: a person wants a new round."""
        self._turn(inp.Restart(request_id=self._request(words), job=int(words[0]), actor="ann"))

    def do_checkpoint(self, words: list[str]) -> None:
        """checkpoint 1/trainer/0@1 31: a world tells of a complete checkpoint."""
        _, seen = self._rank(f"{words[0]}#0")
        progress = Progress(round=seen.key.round_key, step=int(words[1]), at=self._now, checkpoint=int(words[1]))
        self._turn(inp.GangCheckpointed(progress=progress))

    def do_paced(self, words: list[str]) -> None:
        """paced 1/trainer/0@1 31 10: a world whose ranks ask whether to save is there, at so many steps a second."""
        _, seen = self._rank(f"{words[0]}#0")
        progress = Progress(round=seen.key.round_key, step=int(words[1]), at=self._now, asks=True)
        self._turn(inp.GangPaced(progress=progress, steps_per_s=float(words[2])))

    def do_save(self, words: list[str]) -> None:
        """save 1/trainer/0@1 2.5s: rank 0 of a world tells that it saved for so long, up to now."""
        node, seen = self._rank(f"{words[0]}#0")
        begun = SpooledEvent(
            sequence=self._said + 1,
            name="trainer.save",
            kind=EventKind.BEGIN,
            time=self._now - float(words[1].removesuffix("s")),
            monotonic=1.0,
            span=f"save-{self._said}",
            rank=seen.key,
        )
        self._said += 2
        ended = replace(begun, sequence=self._said, kind=EventKind.END, time=self._now)
        batch = EventBatch(node=node.name, spool="s", boot_id=node.boot, events=(begun, ended))
        self._turn(inp.EventsForwarded(batch=batch))

    def do_suspend(self, words: list[str]) -> None:
        """suspend 1 [within 600] [request r]: a person wants a job stopped and kept."""
        within_s = float(_options(words[1:]).get("within", "0"))
        item = inp.Suspend(request_id=self._request(words), job=int(words[0]), actor="ann", within_s=within_s)
        self._turn(item)

    def do_resume(self, words: list[str]) -> None:
        """resume 1 [request r]: a person wants a suspended job to go on."""
        self._turn(inp.Resume(request_id=self._request(words), job=int(words[0]), actor="ann"))

    def do_scale(self, words: list[str]) -> None:
        """scale 1 nnodes 1:2 [role ps] [within 600]: a person changes how many nodes a role may have."""
        options = _options(words[1:])
        least, _, most = options["nnodes"].partition(":")
        scale = inp.Scale(
            request_id=self._request(words),
            job=int(words[0]),
            actor="ann",
            role=options.get("role", ""),
            nodes_min=int(least),
            nodes_max=int(most or least),
            within_s=float(options.get("within", "0")),
        )
        self._turn(scale)

    def do_storage(self, words: list[str]) -> None:
        """storage low | ok: the state of the log's disk."""
        self._turn(inp.StorageChanged(low=words[0] == "low"))

    def do_scheduler(self, words: list[str]) -> None:
        """scheduler fifo | silent | wrong | broken: what answers questions from now on."""
        self._scheduler = words[0]

    def do_after(self, words: list[str]) -> None:
        """after 15s: time passes, and what is due happens at its time."""
        until = self._now + float(words[0].removesuffix("s"))
        while (due := self.state.next_deadline()) is not None and due <= until:
            self._now = max(self._now, due)
            self._turn(inp.Tick())
        self._now = until

    def do_why(self, words: list[str]) -> None:
        """why 1 | why n1: what people are told."""
        if words[0] in self._nodes:
            self.lines.append(out_of_use.why(self.state, words[0]))
            return
        job = self.state.jobs[int(words[0])]
        self.lines.append(
            f"job {job.id} {job.state.value} restarts {job.restarts}: "
            f"{reasons.current(self.state, job.id, self._limits)}"
        )
        for incident in self.state.incidents_of(job.id):
            self.lines.append(f"  {writing.text(incident)}")

    def do_goodput(self, words: list[str]) -> None:
        """goodput 1: what its time went to."""
        ledger = ledger_of(self.state, self.state.jobs[int(words[0])]).as_of(self._now)
        for what, times in (("seconds", ledger.time_us), ("node-seconds", ledger.node_time_us)):
            spent = (f"{name} {us / 1e6:g}" for name, us in asdict(times).items() if us)
            self.lines.append(f"{what}: {', '.join(spent)}")

    # ---- beneath

    def _request(self, words: list[str]) -> str:
        self._requests += 1
        return _options(words[1:]).get("request", f"request-{self._requests}")

    def _exit(self, words: list[str]) -> ExitInfo:
        kind, *rest = words
        blank = ExitInfo(exited_at=self._now)
        match kind:
            case "signal":
                return replace(blank, signal=int(rest[0]))
            case "code":
                return replace(blank, code=int(rest[0]))
            case "peer":
                error = ErrorReport(source="traceback", type="RuntimeError", message=_PEER_LOST, text=_PEER_LOST)
                return replace(blank, code=1, error=error)
            case "error":
                error = ErrorReport(
                    source="traceback", type=rest[0], message=" ".join(rest[1:]), file="train.py", line=7
                )
                return replace(blank, code=1, error=error)
            case "oom":
                return replace(blank, signal=9, result="oom-kill")
            case "port":
                return replace(blank, launch_error=PORT_TAKEN)
            case "launch":
                return replace(blank, launch_error=" ".join(rest))
        raise ValueError(f"an end is not {kind}")

    def _ranks(self, words: list[str], *states: RankState) -> list[tuple[_Node, RankObservation]]:
        job, names = int(words[0]), words[1:] or sorted(self._nodes)
        return [
            (self._nodes[name], seen)
            for name in names
            for seen in self._nodes[name].core.observed().ranks
            if seen.key.job == job and seen.state in states
        ]

    def _rank(self, name: str) -> tuple[_Node, RankObservation]:
        """Find a rank by its name, of the newest round if it names none."""
        found = [
            (node, seen)
            for node in self._nodes.values()
            for seen in node.core.observed().ranks
            if name in (str(seen.key), f"{seen.key.gang_key}#{seen.key.rank}")
        ]
        return max(found, key=lambda each: each[1].key.round)

    def _hello(self, node: _Node) -> None:
        followed, observed = node.core.followed, node.core.observed()
        node.core.handle(agent.Connected(observed.version, asked_at=self._now), self._now)
        node.reports.append(observed)
        hello = inp.NodeHello(
            node=node.name,
            boot_id=node.boot,
            facts=node.facts,
            log_id=followed.log_id,
            position=followed.position,
            observed=observed,
            held=followed.held,
        )
        self._turn(hello)

    def _turn(self, *inputs: inp.Input) -> None:
        decision = handle(self.state, inputs, self._now, self._limits)
        self.decisions.append(decision)
        if decision.events:
            self.lines.append(f"#{decision.position} t+{decision.now - writing.BEGIN:g}")
        self.lines += [f"  {writing.event(each)}" for each in decision.events]
        self.lines += [
            f"  refused ({each.reason}): {each.sentence}" for each in decision.outcomes if isinstance(each, Refused)
        ]
        wanted = [(self._nodes[name], desired(self.state, name)) for name in decision.dirty_nodes]
        for node, each in wanted:
            lost = "" if node.reachable else "  (does not arrive)"
            self.lines.append(f"  {writing.desired(node.name, each)}{lost}")
        for node, each in wanted:
            if node.reachable:
                self._feed(node, agent.DesiredArrived(each))
        for job in decision.questions:
            self._ask(job)

    def _ask(self, job: int) -> None:
        record = self.state.jobs[job]
        if self._scheduler == "silent" or record.state is not JobState.PLACING:
            return
        answer: Placement | NoFit | Preempt | None = place_or_preempt(
            self.state.free,
            requests.request(self.state, job, self._limits),
            preempt.candidates(self.state, self._limits, self.state.jobs[job]),
        )
        failure = ""
        if self._scheduler == "wrong":
            answer = Placement(gangs=(GangPlacement(role="trainer", gang=0, nodes=("n9",)),))
        elif self._scheduler == "broken":
            answer, failure = None, "it raised ZeroDivisionError: division by zero"
        self._turn(inp.PlacementAnswered(job=job, question=record.question, answer=answer, failure=failure))

    def _feed(self, node: _Node, item: agent.Input) -> None:
        actions = node.core.handle(item, self._now)
        for action in actions:
            match action:
                case agent.Start():
                    self.lines.append(f"  {node.name} starts {action.key}")
                case agent.Stop():
                    node.stopping.add(action.key)
                    self.lines.append(
                        f"  {node.name} stops {action.key} within {action.evidence_s + action.grace_s:g}s"
                    )
                case agent.TellVault():
                    word = action.verdict.refusal or "it is committed"
                    self.lines.append(f"  {node.name} tells the vault of {action.verdict.save}: {word}")
                case agent.Reboot():
                    self.lines.append(f"  {node.name} reboots")
                case agent.Say():
                    self.lines.append(f'  {node.name} says "{action.sentence}"')
        for action in actions:
            match action:
                case agent.SendObserved() if node.reachable:
                    node.reports.append(action.observed)
                    self._turn(inp.NodeReport(node=node.name, observed=action.observed))
                case agent.AskNow() if node.reachable:
                    self._feed(node, agent.BeatHeard(self._now))
                case agent.Reconnect():
                    self._hello(node)


def _options(words: list[str]) -> dict[str, str]:
    return dict(zip(words[::2], words[1::2], strict=True))
