"""The barrier between blocks, by every order in which its steps may happen.

`arrive_and_wait` itself is run: its source, with each touch of memory made a place where another
block may go first. Memory is as weak as a GPU's: what a block writes reaches the others at any
time and in any order until a fence, and what it reads may have been fetched at any time since the
last one.
"""

import ast
import inspect
import textwrap

import pytest


class Stops(ast.NodeTransformer):
    """Turn each touch of memory into a yield: what is asked of the model."""

    def visit_Call(self, node):
        self.generic_visit(node)
        name = ast.unparse(node.func)
        if name not in ("fence", "add", "acquire", "relaxed"):
            return node
        return ast.Yield(ast.Tuple([ast.Constant(name), *node.args[1:]], ast.Load()))


def barrier(change=None):
    """`arrive_and_wait` as a generator of what it asks for; `change` breaks its source."""
    pytest.importorskip("numba_cuda")
    from lightrnn.cuda.recurrence.barrier import arrive_and_wait

    function = getattr(arrive_and_wait, "py_func", arrive_and_wait)
    source = textwrap.dedent(inspect.getsource(function))
    changed = source if change is None else change(source)
    assert change is None or changed != source
    tree = ast.fix_missing_locations(Stops().visit(ast.parse(changed)))
    tree.body[0].decorator_list = []
    names = {}
    exec(compile(tree, "barrier", "exec"), names)
    return names["arrive_and_wait"]


def block(wait, me, blocks, steps):
    """Yield what a block does in a loop: write its part, wait for the others, read theirs."""
    for step in range(1, steps + 1):
        yield "write", (me, step)
        yield from wait(None, 0, blocks, step)
        for other in range(blocks):
            if other != me:
                seen = yield "read", (other, step)
                assert seen, f"block {me} read what block {other} had not written in step {step}"


class Model:
    """All states that blocks and memory can be in.

    A block's own state is what it has been answered so far, since nothing else can make a
    difference to it. While it waits it asks again and again: only another answer is another
    state.
    """

    def __init__(self, wait, blocks, steps):
        self.wait = wait
        self.blocks = blocks
        self.steps = steps
        self.asked = {}
        self.seen = set()
        self.edges = {}
        self.ends = set()

    def question(self, me, answers):
        """Return the next request of a block with these answers; None at its end."""
        if (me, answers) not in self.asked:
            program = block(self.wait, me, self.blocks, self.steps)
            question = None
            try:
                question = next(program)
                for answer in answers:
                    question = program.send(answer)
            except StopIteration:
                question = None
            self.asked[me, answers] = question
        return self.asked[me, answers]

    def answered(self, me, answers, answer):
        """The block's state after an answer: one that changes nothing is not kept."""
        question = self.question(me, answers)
        longer = (*answers, answer)
        return (
            answers
            if self.question(me, longer) == question and question[0] in ("acquire", "relaxed")
            else longer
        )

    def next_states(self, state):
        """Yield every state that can follow: a block or the memory makes a step."""
        histories, counter, memory, pending, fetched = state
        for me in range(self.blocks):
            yield from self._memory_moves(state, me)
            question = self.question(me, histories[me])
            if question is None:
                continue
            new = [list(histories), counter, memory, list(pending), list(fetched)]
            answer = None
            if question[0] == "write":
                new[3][me] = pending[me] | {question[1]}
            elif question[0] == "fence":
                new[2], new[3][me], new[4][me] = memory | pending[me], frozenset(), frozenset()
            elif question[0] == "add":
                new[1] = counter + question[2]
            elif question[0] in ("acquire", "relaxed"):
                answer = counter
                if question[0] == "acquire":
                    new[4][me] = frozenset()
            else:
                stale = [answer for place, answer in fetched[me] if place == question[1]]
                answer = stale[0] if stale else question[1] in memory
            new[0][me] = self.answered(me, histories[me], answer)
            yield tuple(tuple(part) if isinstance(part, list) else part for part in new)

    def _memory_moves(self, state, me):
        """Yield a write that becomes seen, and a read that is made before its turn."""
        histories, counter, memory, pending, fetched = state
        for write in pending[me]:
            rest = tuple(p - {write} if i == me else p for i, p in enumerate(pending))
            yield histories, counter, memory | {write}, rest, fetched
        known = {place for place, _ in fetched[me]}
        for other in range(self.blocks):
            for step in range(1, self.steps + 1):
                # What is there can only ever be right: the early reads that matter find nothing.
                if other != me and (other, step) not in known and (other, step) not in memory:
                    early = fetched[me] | {((other, step), False)}
                    yield (
                        histories,
                        counter,
                        memory,
                        pending,
                        tuple(early if i == me else f for i, f in enumerate(fetched)),
                    )

    def explore(self):
        """Go through all states; return how many."""
        nothing = (frozenset(),) * self.blocks
        start = (((),) * self.blocks, 0, frozenset(), nothing, nothing)
        waiting = [start]
        self.seen.add(start)
        while waiting:
            state = waiting.pop()
            if all(self.question(me, answers) is None for me, answers in enumerate(state[0])):
                self.ends.add(state)
            for following in self.next_states(state):
                self.edges.setdefault(following, []).append(state)
                if following not in self.seen:
                    self.seen.add(following)
                    waiting.append(following)
        return len(self.seen)

    def stuck(self):
        """States from which no end can be reached."""
        reaching = set(self.ends)
        waiting = list(self.ends)
        while waiting:
            for state in self.edges.get(waiting.pop(), ()):
                if state not in reaching:
                    reaching.add(state)
                    waiting.append(state)
        return self.seen - reaching


@pytest.mark.parametrize("blocks, steps", [(1, 3), (2, 3), (3, 1)])
def test_no_order_of_events_reads_too_early_or_waits_for_ever(blocks, steps):
    model = Model(barrier(), blocks, steps)
    assert model.explore() > 10 * blocks
    assert model.ends and not model.stuck()


BROKEN = {
    "what was written is not made seen": lambda source: source.replace("fence()", "pass", 1),
    "reads are made before": lambda source: source.replace("acquire(", "relaxed("),
    "one block is not waited for": lambda source: source.replace(
        "blocks * number", "blocks * number - 1"
    ),
    "the second time is like the first": lambda source: source.replace("blocks * number", "blocks"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_the_model_finds_what_is_broken(fault):
    with pytest.raises(AssertionError, match="had not written"):
        Model(barrier(BROKEN[fault]), 2, 2).explore()


def test_the_model_finds_a_block_that_waits_for_ever():
    model = Model(
        barrier(lambda source: source.replace("blocks * number", "blocks * number + 1")), 2, 2
    )
    model.explore()
    assert model.stuck()
