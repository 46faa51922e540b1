"""The built-in rule of placement, which decides when no scheduler does.

Decides nothing but where gangs go: which job is next, and whether an answer still holds, is the core's.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

from dlroverd.model.candidates import Candidates, candidates
from dlroverd.model.explain import short_of
from dlroverd.model.free_index import FreeIndex
from dlroverd.model.packing import in_rank_order, near, packed, spread
from dlroverd.model.placement import GangPlacement, GangRequest, NoFit, Placement, PlacementRequest
from dlroverd.model.placement_check import broken_rule

Name = tuple[str, int]


def place(index: FreeIndex, request: PlacementRequest) -> Placement | NoFit:
    """Give all gangs of a request their nodes, or none. `index` is as before when this returns.

    Doubtful nodes are taken when nothing else fits or they would lie idle, the least doubtful first. Every gang first
    gets its fewest nodes; what is free then goes to the gangs in order, as much as each may take. Nodes are packed,
    spread or near as a gang wishes, and otherwise the least free ones that suffice, so that large holes stay for large
    jobs.

    Whenever there is room for gangs that need the same slots per node it is found, unless some are to be apart or
    together. With unequal needs this is bin packing, and a fit may be missed.
    """
    asked = {_name(gang): candidates(index, request, gang) for gang in request.gangs}
    for gang in request.gangs:
        if asked[_name(gang)].count(index) < gang.fewest:
            return NoFit(reason=short_of(index, request, gang))
    refusal = ""
    for doubt in index.doubts() or [0]:
        for order, reserve in _plans(index, request, asked):
            attempt = _Attempt(index, request, asked, doubt)
            try:
                blocked = attempt.seat_all(order, reserve=reserve)
                if blocked is not None:
                    refusal = short_of(index, request, blocked, beside=True)
                    continue
                small = attempt.placement()
                attempt.grow_all()
                large = attempt.placement()
            finally:
                attempt.undo()
            # Gangs that are apart or together are placed one by one; whether that kept the rule is seen at the end.
            for answer in (large, small):
                if not _related(request) or not broken_rule(index, request, answer):
                    return answer
    return NoFit(reason=refusal or short_of(index, request, request.gangs[0], beside=True))


def _name(gang: GangRequest | GangPlacement) -> Name:
    return gang.role, gang.gang


def _related(request: PlacementRequest) -> bool:
    return any(gang.apart_from or gang.together_with for gang in request.gangs)


def _plans(
    index: FreeIndex, request: PlacementRequest, asked: dict[Name, Candidates]
) -> Iterator[tuple[list[GangRequest], bool]]:
    """Give orders in which to seat the gangs, and whether to keep room on their nodes for those together with them."""
    demanding = sorted(request.gangs, key=lambda gang: (-gang.slots_per_node, -gang.fewest))
    if not _related(request):
        yield demanding, False
        return
    room = {name: each.count(index) for name, each in asked.items()}
    for order in (
        demanding,
        sorted(demanding, key=lambda gang: gang.fewest),
        sorted(demanding, key=lambda gang: room[_name(gang)]),
    ):
        yield order, True
        yield order, False


class _Attempt:
    """Nodes given to gangs so far. What they take is taken from the index until `undo`."""

    def __init__(self, index: FreeIndex, request: PlacementRequest, asked: dict[Name, Candidates], doubt: int) -> None:
        self._index = index
        self._request = request
        self._asked = asked
        self._doubt = doubt
        self._given: dict[Name, set[str]] = {}

    def seat_all(self, order: list[GangRequest], *, reserve: bool) -> GangRequest | None:
        """Give every gang its fewest nodes; the one that found no room, or None."""
        for gang in order:
            extra = sum(each.slots_per_node for each in self._to_join(gang)) if reserve else 0
            chosen = self._choose(gang, gang.fewest, extra)
            if chosen is not None:
                self._take(gang, chosen)
            elif _related(self._request) or not self._make_room(gang):
                return gang
        return None

    def grow_all(self) -> None:
        """Give the gangs, in order, as many more nodes as are legal and free."""
        for gang in self._request.gangs:
            own = self._given[_name(gang)]
            if gang.most == len(own):
                continue
            self._give_back(gang)
            # Rather a doubtful node more than one that lies idle: unused, it could never prove itself.
            known = self._doubt
            wider = [(self._legal(gang, doubt), -doubt) for doubt in self._index.doubts() if doubt >= known]
            total, least = max(wider, default=(0, -known))
            self._doubt = -least
            chosen = self._choose(gang, total, 0) if total > len(own) else None
            self._take(gang, own if chosen is None else chosen)

    def _legal(self, gang: GangRequest, doubt: int) -> int:
        """How many nodes, at most so doubtful, a gang that has none may have now."""
        self._doubt = doubt
        room = self._open_to(gang, gang.most)[0].count(self._index)
        return min(room, gang.most) // gang.node_unit * gang.node_unit

    def placement(self) -> Placement:
        """What was given, in the order that ranks take it."""
        return Placement(
            gangs=tuple(
                GangPlacement(
                    role=gang.role,
                    gang=gang.gang,
                    nodes=in_rank_order(self._index, self._given[_name(gang)], gang.pack),
                )
                for gang in self._request.gangs
            )
        )

    def undo(self) -> None:
        """Give everything back."""
        for gang in self._request.gangs:
            if _name(gang) in self._given:
                self._give_back(gang)

    def _choose(self, gang: GangRequest, count: int, extra: int) -> set[str] | None:
        """Choose nodes with `extra` slots to spare, as the gang wishes; None if there are not enough."""
        index = self._index
        open_to, must = self._open_to(gang, count, extra)
        if len(must) > count or not all(open_to.has(index, node) for node in must):
            return None
        again = [node for node in gang.near if node not in must and open_to.has(index, node)]
        kept = {*must, *again[: count - len(must)]}
        rest = count - len(kept)
        kinds = [kind for kind in gang.pack if index.domains(kind)]
        neighbours = {*kept, *gang.near}
        if not (index.domains(gang.spread) or kinds):
            chosen = list(islice((node for node in open_to.in_order(index) if node not in kept), rest))
        elif count == 1 and not (gang.spread or neighbours):  # one node breaks no hole but its own
            chosen = packed(index, next(filter(None, open_to.levels(index)), set()), kinds, rest)
        else:
            scope = set().union(*open_to.levels(index)).difference(kept)
            if index.domains(gang.spread):
                chosen = spread(index, scope, gang.spread, neighbours, rest)
            else:
                chosen = near(index, scope, kinds, neighbours, rest)
        return {*kept, *chosen} if len(chosen) == rest else None

    def _open_to(self, gang: GangRequest, count: int, extra: int = 0) -> tuple[Candidates, frozenset[str]]:
        """Give the nodes of which a gang may have `count`, and those among them that it must have."""
        known = self._asked[_name(gang)]
        only, barred, must = known.only, known.barred, frozenset[str]()
        for role in self._roles(gang, apart=True):
            barred |= self._nodes_of(role, gang)
        for role in self._roles(gang, apart=False):
            theirs = self._nodes_of(role, gang)
            if count > len(theirs):
                must |= theirs
            else:
                only = theirs if only is None else theirs.intersection(only)
        return replace(known, only=only, barred=barred, need=known.need + extra, doubt=self._doubt), must

    def _roles(self, gang: GangRequest, *, apart: bool) -> set[str]:
        """The roles that a gang is to be apart from, or together with, whichever of the two says so."""
        own = set(gang.apart_from if apart else gang.together_with)
        return own.union(
            each.role for each in self._request.gangs if gang.role in (each.apart_from if apart else each.together_with)
        ) - (set() if apart else {gang.role})

    def _nodes_of(self, role: str, besides: GangRequest) -> frozenset[str]:
        """The nodes that other gangs of a role have."""
        seated = (each.nodes for each in self._request.seated if each.role == role)
        given = (nodes for name, nodes in self._given.items() if name[0] == role and name != _name(besides))
        return frozenset(chain.from_iterable(chain(seated, given)))

    def _to_join(self, gang: GangRequest) -> list[GangRequest]:
        """The gangs without nodes yet that are to be together with this one."""
        roles = self._roles(gang, apart=False)
        return [each for each in self._request.gangs if each.role in roles and _name(each) not in self._given]

    def _take(self, gang: GangRequest, nodes: set[str]) -> None:
        for node in nodes:
            self._index.set(node, (self._index.free(node) or 0) - gang.slots_per_node)
        self._given[_name(gang)] = nodes

    def _give_back(self, gang: GangRequest) -> None:
        for node in self._given.pop(_name(gang)):
            self._index.set(node, (self._index.free(node) or 0) + gang.slots_per_node)

    def _make_room(self, gang: GangRequest) -> bool:
        """Seat a gang by having others move to nodes that it could not use.

        One node after another, along a shortest chain of moves: gang takes n1 from h1, h1 takes n2 from h2, and so on
        to a node with room. Such chains find a fit whenever there is one if all need the same slots (they are the
        augmenting paths of maximum flow).
        """
        self._take(gang, set())
        while len(self._given[_name(gang)]) < gang.fewest:
            moves = self._moves(gang)
            if moves is None:
                self._give_back(gang)
                return False
            for mover, node, freed in moves:
                self._move(mover, freed, node)
        return True

    def _moves(self, first: GangRequest) -> list[tuple[GangRequest, str, str]] | None:
        """Find who takes which node in place of which ("" for none), the last move first; None if there is no way."""
        came: dict[Name, tuple[GangRequest, str] | None] = {_name(first): None}
        line = [first]
        for gang in line:
            open_to = replace(self._asked[_name(gang)], doubt=self._doubt)
            own = self._given[_name(gang)]
            found = next((node for node in open_to.in_order(self._index) if node not in own), None)
            if found is not None:
                return self._chain(came, gang, found)
            for other in self._request.gangs:
                if _name(other) in came or _name(other) not in self._given:
                    continue
                wanted = replace(open_to, need=gang.slots_per_node - other.slots_per_node)
                for node in sorted(self._given[_name(other)] - own):
                    if wanted.has(self._index, node):
                        came[_name(other)] = (gang, node)
                        line.append(other)
                        break
        return None

    def _chain(
        self, came: dict[Name, tuple[GangRequest, str] | None], last: GangRequest, found: str
    ) -> list[tuple[GangRequest, str, str]]:
        moves = []
        mover, takes = last, found
        while (before := came[_name(mover)]) is not None:
            taker, freed = before
            moves.append((mover, takes, freed))
            mover, takes = taker, freed
        return [*moves, (mover, takes, "")]

    def _move(self, gang: GangRequest, leaves: str, takes: str) -> None:
        slots, own = gang.slots_per_node, self._given[_name(gang)]
        if leaves:
            own.discard(leaves)
            self._index.set(leaves, (self._index.free(leaves) or 0) + slots)
        own.add(takes)
        self._index.set(takes, (self._index.free(takes) or 0) - slots)
