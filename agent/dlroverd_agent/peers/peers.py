"""The agent's dealings with those of other nodes: serves them, and carries out what the core wants to know of them."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio
import structlog

from dlroverd.config.agent import AgentConfig
from dlroverd.model.fault import PORT_TAKEN
from dlroverd.model.ids import RoundKey
from dlroverd.model.job import JobSpec
from dlroverd.model.world import Assignment, NodeCheck, Peer
from dlroverd.protocol import channel
from dlroverd.protocol.channel import AddressError
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.v1.peer_service_pb2_grpc import add_PeerServiceServicer_to_server
from dlroverd_agent import ports
from dlroverd_agent.core import AgentCore, AskPeer, Checked, Input, RoundsHeard, SuspectCalled
from dlroverd_agent.launchers.files import boot_id
from dlroverd_agent.peers.calls import PeerCaller
from dlroverd_agent.peers.service import PeerService
from dlroverd_agent.preflight.code import Code, differences
from dlroverd_agent.preflight.examine import UnfitError, examine

CALL_EVERY_S = 2.0

_log = structlog.get_logger()


class Peers:
    """One agent among the others. `tell` takes what was found out, for the core. Belongs to one asyncio loop.

    `shortage` says what this host lacks of memory for an assignment, "" if nothing.
    """

    def __init__(
        self,
        config: AgentConfig,
        core: AgentCore,
        tell: Callable[[Input], None],
        shortage: Callable[[Assignment, JobSpec], Awaitable[str]],
    ) -> None:
        self._config = config
        self._core = core
        self._tell = tell
        self._shortage = shortage
        self._caller = PeerCaller(config.tls.files() if config.tls else None)
        self._server: grpc.aio.Server | None = None
        self._codes: dict[Assignment, asyncio.Task[Code]] = {}
        self._calling: dict[Peer, asyncio.Task[None]] = {}

    async def serve(self) -> int:
        """Answer other agents from now on; the port, 0 where the configuration wants none. AddressError as `listen`."""
        address = self._config.peer_address
        if not address:
            return 0
        server = channel.new_server()
        service = PeerService(self._config.node, boot_id(), self._core, self._code_of)
        add_PeerServiceServicer_to_server(service, server)
        channel.listen(server, address, self._config.tls.files() if self._config.tls else None)
        await server.start()
        self._server = server
        return channel.host_port(address)[1]

    async def close(self) -> None:
        """Answer and ask no more."""
        for task in self._calling.values():
            task.cancel()
        await asyncio.gather(*self._calling.values(), return_exceptions=True)
        if self._server is not None:
            await self._server.stop(grace=None)

    # ---- checks before a start

    async def check(self, assignment: Assignment, spec: JobSpec) -> None:
        """Find out whether the ranks of an assignment could run here, and tell."""
        try:
            check = await self._check(assignment, spec)
        except (UnfitError, AddressError) as error:
            check = NodeCheck(round=assignment.round, problem=str(error))
        except OSError as error:
            problem = f"the checks before a start cannot be made there ({error}): see what its host is short of"
            check = NodeCheck(round=assignment.round, problem=problem)
        self._tell(Checked(assignment, check))

    async def _check(self, assignment: Assignment, spec: JobSpec) -> NodeCheck:
        round_, master = assignment.round, assignment.master
        if short := await self._shortage(assignment, spec):
            return NodeCheck(round=round_, problem=short)
        if master is None or master.node == self._config.node:
            if not assignment.group_rank and ports.taken(assignment.master_port):
                return NodeCheck(round=round_, problem=PORT_TAKEN)
            await self._code(assignment, spec)
            return NodeCheck(round=round_, reached=() if master is None else master.addresses)
        reaching = asyncio.create_task(self._caller.reached(master))
        try:
            mine = await self._code(assignment, spec)
            reached = await reaching
        finally:
            reaching.cancel()
        mismatch = "" if spec.allow_mismatch or not reached else await self._compare(mine, master, reached[0], round_)
        return NodeCheck(round=round_, mismatch=mismatch, reached=reached)

    async def _compare(self, mine: Code, master: Peer, address: str, round_: RoundKey) -> str:
        try:
            return differences(mine, await self._caller.code(master, address, round_), master.node)
        except CallError as error:
            if error.reason is Reason.REFUSED:
                return ""  # the master's node is unfit, and tells the daemon so itself
            return f"what {master.node} has is not known, for {error.sentence}"

    async def _code_of(self, round_: RoundKey) -> Code | None:
        held = self._core.followed.held
        for assignment in held.assignments:
            if assignment.round == round_:
                return await self._code(assignment, next(job.spec for job in held.jobs if job.job == round_.job))
        return None

    async def _code(self, assignment: Assignment, spec: JobSpec) -> Code:
        """Find out which code an assignment would run, once for all that ask."""
        held = self._core.followed.held.assignments
        for old in [each for each in self._codes if each not in held]:
            del self._codes[old]
        if (task := self._codes.get(assignment)) is None:
            role = spec.role(assignment.round.role)
            task = self._codes[assignment] = asyncio.create_task(examine(spec, role, self._config.state_dir))
        return await asyncio.shield(task)

    # ---- silent nodes, and the time without a daemon

    def call(self, suspects: tuple[Peer, ...]) -> None:
        """Call these silent nodes again and again, and no others."""
        for peer in [each for each in self._calling if each not in suspects]:
            self._calling.pop(peer).cancel()
        for peer in suspects:
            if peer not in self._calling:
                self._calling[peer] = asyncio.create_task(self._keep_calling(peer))

    async def _keep_calling(self, peer: Peer) -> None:
        while True:
            began = asyncio.get_running_loop().time()
            try:
                self._tell(SuspectCalled(peer.node, await self._caller.answers(peer)))
            except AddressError as error:
                _log.error("a silent node cannot be called", suspect=peer.node, error=str(error))
                return
            await asyncio.sleep(began + CALL_EVERY_S - asyncio.get_running_loop().time())

    async def ask(self, action: AskPeer) -> None:
        """Ask another agent once what it knows of gangs, and tell; no answer says nothing."""
        try:
            reply = await self._caller.rounds(action.peer, action.gangs)
        except AddressError as error:
            _log.error("another node cannot be asked", peer=action.peer.node, error=str(error))
            return
        if reply is not None:
            self._tell(RoundsHeard(action.peer.node, reply.log_id, reply.rounds))
