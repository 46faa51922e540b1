"""The inventory enters the state once, by node; nodes are what their facts, the inventory and their past say."""

from dataclasses import replace

from dlroverd.core import invariants
from dlroverd.core.apply import apply
from dlroverd.core.handle import handle
from dlroverd.core.passes import requests
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.model.limits import Limits
from dlroverd.model.node import Device, NodeDomains, NodeFacts
from dlroverd.model.place import place
from dlroverd.model.placement import NodeTraits
from dlroverd.model.world import Held, Observed
from dlroverd.runtime import codec

FACTS = NodeFacts(
    hostname="h",
    address="10.0.0.1",
    cpus=8,
    memory_bytes=1,
    slots=2,
    devices=tuple(Device(uuid=f"GPU-{n}", model="NVIDIA H100", memory_bytes=1) for n in range(2)),
    labels={"ssd": "", "gpu": "h100"},
)
WHERE = {"n1": "r1", "n2": "r2", "n3": "r1", "n4": "r2"}
INVENTORY = inp.TopologySet(
    pack_by=("rack",), nodes=tuple(NodeDomains(node=node, domains=(("rack", rack),)) for node, rack in WHERE.items())
)


def give(state: State, *inputs: inp.Input) -> tuple[ev.Event, ...]:
    events = handle(state, inputs, state.m.now + 1, Limits()).events
    assert invariants.check(state) == []
    return events


def hello(node: str) -> inp.NodeHello:
    return inp.NodeHello(
        node=node, boot_id="b", facts=FACTS, log_id="", position=0, observed=Observed(version=1), held=Held()
    )


def test_only_what_differs_from_the_inventory_before_is_noted() -> None:
    state = State("log")
    first = ev.TopologyChanged(pack_by=("rack",), nodes=INVENTORY.nodes)
    assert give(state, INVENTORY) == (first,)
    assert give(state, INVENTORY) == ()
    moved = replace(INVENTORY, nodes=(*INVENTORY.nodes[1:3], NodeDomains(node="n4", domains=(("rack", "r3"),))))
    changes = (NodeDomains(node="n1", domains=()), NodeDomains(node="n4", domains=(("rack", "r3"),)))
    assert give(state, moved) == (ev.TopologyChanged(pack_by=("rack",), nodes=changes),)
    assert set(state.domains) == {"n2", "n3", "n4"}
    assert give(state, inp.TopologySet())[0] == ev.TopologyChanged(
        pack_by=(), nodes=tuple(NodeDomains(node=node, domains=()) for node in ("n2", "n3", "n4"))
    )
    assert not state.domains


def test_a_node_is_what_its_facts_the_inventory_and_its_past_say() -> None:
    state = State("log")
    give(state, INVENTORY)
    assert state.free.traits("n1") == NodeTraits()
    give(state, hello("n1"))
    joined = NodeTraits(
        slots=2,
        labels=(("gpu", "h100"), ("ssd", "")),
        domains=(("rack", "r1"),),
        model="NVIDIA H100",
        memory_bytes=1,
    )
    assert state.free.traits("n1") == joined
    state.put(state.nodes, "n1", replace(state.nodes["n1"], doubt=0.4))
    assert state.free.traits("n1") == replace(joined, doubt=0.4)
    give(state, inp.TopologySet())
    assert state.free.traits("n1") == replace(joined, doubt=0.4, domains=())
    state.put(state.nodes, "n1", None)
    assert not state.free.described()


def test_the_inventory_survives_a_snapshot_and_a_replay() -> None:
    state, again = State("log"), State("log")
    events = give(state, INVENTORY, hello("n1"))
    for event in codec.EVENTS.decode(codec.EVENTS.encode(events)):
        apply(again, event)
    copy = codec.decode_state(codec.encode_tables(codec.tables_of(state)), "log")
    assert copy.m.pack_by == again.m.pack_by == ("rack",)
    assert copy.free.traits("n1") == again.free.traits("n1") == state.free.traits("n1")


def test_a_job_is_placed_by_the_inventory_with_neighbours_side_by_side() -> None:
    state = State("log")
    give(state, INVENTORY, *(hello(node) for node in WHERE))
    role = RoleSpec(argv=("/bin/true",), cwd="/", nodes_min=4, nodes_max=4, nproc_per_node=2)
    give(state, inp.Submit(request_id="r", spec=JobSpec(name="a", user=User(uid=0, gid=0, name="root"), roles=(role,))))
    answer = place(state.free, requests.request(state, 1, Limits()))
    give(state, inp.PlacementAnswered(job=1, question=1, answer=answer))
    assert state.gangs[GangKey(1, "trainer", 0)].nodes == ("n1", "n3", "n2", "n4")
