"""The hosts of a scenario: their names, what they have, what they share with others, and which are lemons."""

from dataclasses import dataclass
from random import Random

from dlroverd.model.input import TopologySet
from dlroverd.model.node import Device, NodeDomains, NodeFacts
from dlroverd.testing.simulator.scenario import Group, Scenario

_PEER_PORT = 7711


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One host. `domains` names by kind what it shares: its switch, its rack, its power unit."""

    name: str
    facts: NodeFacts
    domains: dict[str, str]
    lemon: bool


class Inventory:
    """All hosts, and which of them fail as one."""

    def __init__(self, scenario: Scenario, chance: Random) -> None:
        """Name them, and choose the lemons."""
        self.machines: dict[str, Machine] = {}
        self.domains: dict[str, dict[str, list[str]]] = {}
        for group in scenario.fleet:
            lemons = set(chance.sample(range(group.nodes), round(group.nodes * group.lemons)))
            for number in range(group.nodes):
                name = f"{group.name}-{number:05}"
                shared = {kind: f"{group.name}-{kind}-{number // size:04}" for kind, size in group.domains.items()}
                self.machines[name] = Machine(
                    name=name,
                    facts=_facts(name, group),
                    domains=shared,
                    lemon=number in lemons,
                )
                for kind, domain in shared.items():
                    self.domains.setdefault(kind, {}).setdefault(domain, []).append(name)

    @property
    def topology(self) -> TopologySet:
        """What its people configure: which nodes share what, packed by the domains from few nodes to many."""
        sizes = {kind: max(len(nodes) for nodes in named.values()) for kind, named in self.domains.items()}
        nodes = tuple(
            NodeDomains(node=machine.name, domains=tuple(sorted(machine.domains.items())))
            for machine in self.machines.values()
            if machine.domains
        )
        return TopologySet(pack_by=tuple(sorted(sizes, key=lambda kind: (sizes[kind], kind))), nodes=nodes)

    @property
    def lemons(self) -> list[str]:
        """The names of the lemons."""
        return [machine.name for machine in self.machines.values() if machine.lemon]


def _facts(name: str, group: Group) -> NodeFacts:
    slots, model = group.slots, group.model
    return NodeFacts(
        hostname=name,
        address=name,
        addresses=(name,),
        cpus=slots * 12,
        memory_bytes=1 << 40,
        slots=slots,
        devices=tuple(Device(uuid=f"GPU-{name}-{n}", model=model, memory_bytes=80 << 30) for n in range(slots)),
        peer_port=_PEER_PORT,
        labels=group.labels,
    )
