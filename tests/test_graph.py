"""Graphs: all that was computed is there, in each form, and the pictures can be read."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np.looking import drawing

SVG = "{http://www.w3.org/2000/svg}"
X = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1, 1, 0]])
T = np.array([[0], [1], [1], [0], [1]])
AWKWARD = "<b>\"&'é日`#;|[x]{y}*_-->%%"


def leaf(*shape: int) -> mg.Tensor:
    return mg.Tensor(np.ones(shape), requires_grad=True)


def neuron() -> Any:
    np.random.seed(1)
    return mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())


def of_neuron() -> Any:
    model = neuron()

    def loss(inputs: Any, targets: Any) -> Any:
        return mg.sum_of_squares(model(inputs), targets)

    return mg.graph(loss, X, T, names=model)


def of_mlp() -> Any:
    model = mg.Sequential(mg.Linear(3, 8, bias=True), mg.ReLU(), mg.Linear(8, 2, bias=True))
    labels = np.array([0, 1, 1, 0, 1])
    return mg.graph(lambda x, labels: mg.cross_entropy(model(x), labels), X, labels, names=model)


def of_diamonds() -> Any:
    y = leaf()
    for _ in range(40):
        y = y + y
    return mg.graph(y)


def of_rnn() -> Any:
    def states(x: Any, w: Any, u: Any) -> Any:
        state, found = x[:, 0], []
        for i in range(6):
            state = np.tanh(x[:, i] @ w + state @ u)
            found.append(state)
        return np.stack(found)

    return mg.graph(states, np.ones((2, 6, 3)), leaf(3, 3), leaf(3, 3))


def of_anything(seed: int) -> Callable[[], Any]:
    def made() -> Any:
        rng = np.random.default_rng(seed)
        known: list[Any] = [leaf(*[2] * k) for k in (0, 1, 5)]
        for _ in range(25):
            arguments = [known[i] for i in rng.integers(0, len(known), rng.integers(1, 4))]
            known.append(sum(arguments[1:], start=arguments[0]) if arguments[1:] else -arguments[0])
            known += [leaf(*[2] * k) for k in range(2) if not rng.integers(0, 4)]
        return mg.graph(sum(known[1:], start=known[0]), names={AWKWARD: known[0]})

    return made


def of_names() -> Any:
    return mg.graph(lambda x: x * 2 + 2, [1.0, 2.0], names={AWKWARD: leaf(9)})


PICTURES: dict[str, Callable[[], Any]] = {
    "neuron": of_neuron,
    "mlp": of_mlp,
    "transformer block": lambda: mg.graph(mg.TransformerBlock(8, 2), np.ones((2, 3, 8))),
    "lstm": lambda: mg.graph(mg.LSTM(3, 4), np.ones((2, 5, 3))),
    "convolution": lambda: mg.graph(mg.Conv2d(1, 2, 3, stride=2), np.ones((1, 1, 8, 8))),
    "diamonds": of_diamonds,
    "recurrent net": of_rnn,
    "wide": lambda: mg.graph(lambda x: np.stack([x * i for i in range(300)]), 1.0),
    "a tensor used late": lambda: mg.graph(lambda x, y: ((x.exp() ** 2).sum() + y) * x, 1.0, 2.0),
    "numbers": of_names,
} | {f"anything {seed}": of_anything(seed) for seed in range(4)}


@pytest.fixture(scope="module", params=PICTURES)
def graph(request: Any) -> Any:
    np.random.seed(0)
    return PICTURES[request.param]()


@pytest.fixture(scope="module")
def picture(graph: Any) -> "Picture":
    return Picture(graph.svg())


class Frame(NamedTuple):
    """A rectangle of a picture with what is written in it."""

    left: int
    top: int
    right: int
    bottom: int
    texts: tuple[str, ...]
    bold: tuple[str, ...]
    border: float

    @property
    def middle(self) -> int:
        return (self.top + self.bottom) // 2


class Picture:
    """What an SVG shows: for each tensor a box, and an oval if an op made it; and arrows."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)
        arrows, groups = self.root.findall(f"{SVG}g")
        frames = [framed(group) for group in groups]
        self.boxes = [found[-1] for found in frames]
        self.ops = {i: found[0] for i, found in enumerate(frames) if len(found) == 2}
        self.paths = [Path(path.attrib["d"]) for path in arrows]

    def edges(self) -> Counter[tuple[int, int]]:
        """Return from which box to the op of which box arrows lead."""
        starts = {(box.right, box.middle): i for i, box in enumerate(self.boxes)}
        for path in self.paths:
            if not path.has_head:  # what several arrows share: they start at its bends
                starts |= dict.fromkeys(path.ends, starts[path.ends[0]])
        own = {(op.right, op.middle): i for i, op in self.ops.items()}
        found: Counter[tuple[int, int]] = Counter()
        for path in self.paths:
            if path.has_head and path.ends[0] not in own:
                x, y = path.ends[-1]
                (end,) = [i for i, op in self.ops.items() if x == op.left and inside(y, op)]
                found[starts[path.ends[0]], end] += 1
        return found

    def own_arrows(self) -> list[int]:
        """Return the boxes to which an arrow leads from their own op."""
        ways = {(path.ends[0], path.ends[-1]) for path in self.paths}
        return [
            i
            for i, op in self.ops.items()
            if ((op.right, op.middle), (self.boxes[i].left, self.boxes[i].middle)) in ways
        ]


def inside(y: int, frame: Frame) -> bool:
    return frame.top < y < frame.bottom


def framed(group: ElementTree.Element) -> list[Frame]:
    """Read rectangles, each of which is followed by its texts."""
    found: list[Frame] = []
    for part in group:
        if part.tag == f"{SVG}rect":
            x, y, w, h = (int(part.attrib[name]) for name in ("x", "y", "width", "height"))
            found.append(Frame(x, y, x + w, y + h, (), (), float(part.attrib["stroke-width"])))
        elif part.tag == f"{SVG}text":
            frame, text = found[-1], part.text or ""
            half = len(text) * 7.25 / 2  # a character of 12 pixels' height is as wide as this
            x, y = int(part.attrib["x"]), int(part.attrib["y"])
            assert frame.left < x - half < x + half < frame.right
            assert frame.top < y - 10 < y + 3 < frame.bottom
            bold = (*frame.bold, *[text] * ("font-weight" in part.attrib))
            found[-1] = frame._replace(texts=(*frame.texts, text), bold=bold)
    return found


class Path:
    """A path: where its pieces end, and many points on them."""

    def __init__(self, text: str) -> None:
        self.has_head = text.endswith(drawing.HEAD)
        self.ends: list[tuple[int, int]] = []
        self.points: list[tuple[float, float]] = []
        for letter, digits in re.findall("([MCHh])([^A-Za-z]*)", text.removesuffix(drawing.HEAD)):
            numbers = [*map(int, digits.split())]
            x, y = self.ends[-1] if self.ends else (0, 0)
            if letter in "Hh":
                numbers = [numbers[0] + x * (letter == "h"), y]
            corners = np.array([(x, y), *zip(numbers[::2], numbers[1::2])], float)
            for t in np.linspace(0, 1, 30) if self.ends else ():
                points = corners
                while len(points) > 1:  # de Casteljau
                    points = points[:-1] * (1 - t) + points[1:] * t
                self.points.append((points[0, 0], points[0, 1]))
            self.ends.append((numbers[-2], numbers[-1]))


def edges_of(graph: Any) -> Counter[tuple[int, int]]:
    return Counter((s, i) for i, box in enumerate(graph.boxes) for s in box.sources)


# What the pictures, and the texts, must be, whatever they show


def test_the_picture_has_every_tensor_op_and_arrow(graph: Any, picture: Picture) -> None:
    assert [box.texts for box in picture.boxes] == [tuple(box.lines) for box in graph.boxes]
    made = [i for i, box in enumerate(graph.boxes) if box.op]
    assert {i: op.texts for i, op in picture.ops.items()} == {
        i: (graph.boxes[i].op, *graph.boxes[i].constants) for i in made
    }
    assert picture.edges() == edges_of(graph)
    assert picture.own_arrows() == made


def test_nothing_overlaps_in_the_picture_and_all_lies_inside(picture: Picture) -> None:
    width, height = (int(picture.root.attrib[name]) for name in ("width", "height"))
    assert picture.root.attrib["viewBox"] == f"0 0 {width} {height}"
    frames = sorted([*picture.boxes, *picture.ops.values()])
    for a, b in combinations(frames, 2):
        assert a.right < b.left or a.bottom + 8 < b.top or b.bottom + 8 < a.top
    assert min(frame.left for frame in frames) == width - max(frame.right for frame in frames) == 16
    heights = [y for path in picture.paths for _, y in path.points]
    assert abs(min(*(frame.top for frame in frames), *heights) - 16) <= 1
    assert abs(height - max(*(frame.bottom for frame in frames), *heights) - 16) <= 1


def test_no_arrow_runs_through_a_box(picture: Picture) -> None:
    frames = np.array([frame[:4] for frame in [*picture.boxes, *picture.ops.values()]])
    points = np.array([point for path in picture.paths for point in path.points])
    for left, top, right, bottom in frames:
        x, y = points.T
        assert not np.any((left + 0.1 < x) & (x < right - 0.1) & (top - 1 < y) & (y < bottom + 1))


def test_mermaid_and_dot_have_every_tensor_op_and_arrow(graph: Any) -> None:
    tensors = [f"t{i}" for i in range(len(graph.boxes))]
    made = [i for i, box in enumerate(graph.boxes) if box.op]
    arrows = Counter((f"t{s}", f"op{i}") for s, i in edges_of(graph).elements())
    arrows += Counter((f"op{i}", f"t{i}") for i in made)
    mermaid, dot = graph.mermaid(), graph.dot()
    without_labels = re.sub(r'\(?\["[^"]*"\]\)?(:::\w+)?', "", mermaid)
    assert Counter(re.findall(r"(\w+) --> (\w+)", without_labels)) == arrows
    assert re.findall(r"^ +(t\d+)\[", mermaid, re.M) == tensors
    assert Counter(re.findall(r"^ +(\w+) -> (\w+)$", dot, re.M)) == arrows
    assert re.findall(r"^ +(t\d+) \[", dot, re.M) == tensors
    for i in made:
        name = drawing.escaped(graph.boxes[i].op, "#")
        assert re.search(rf'^ +op{i}\(\["{name}["<]', mermaid, re.M)
        assert re.search(rf'^ +op{i} \[label="{name.replace("#", "&#")}["\\]', dot, re.M)


def test_texts_are_ascii_and_end_with_a_line_break(graph: Any) -> None:
    for text in (graph.svg(), graph.mermaid(), graph.dot()):
        assert text.isascii()
        assert text.endswith(("</svg>\n", ":#000\n", "\n}\n"))


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_computation_gives_the_same_texts(name: str) -> None:
    texts = []
    for _ in range(2):
        np.random.seed(0)
        graph = PICTURES[name]()
        texts.append([graph.svg(), graph.mermaid(), graph.dot(), repr(graph)])
    assert texts[0] == texts[1]


# Small graphs, word for word


def test_the_neuron_in_mermaid() -> None:
    assert (
        of_neuron().mermaid()
        == """\
flowchart LR
    t0["inputs<br/>(5, 3) float64"]:::input
    t1["0.weight<br/>(3, 1) float64<br/>data -0.166, 0.4406, -0.9998"]:::parameter
    t2["(5, 1) float64"]:::value
    op2(["matmul"]):::op --> t2
    t0 --> op2
    t1 --> op2
    t3["(5, 1) float64"]:::value
    op3(["sigmoid"]):::op --> t3
    t2 --> op3
    t4["targets<br/>(5, 1) int64"]:::input
    t5["() float64<br/>data 0.7131"]:::value
    op5(["sum#95;of#95;squares"]):::op --> t5
    t3 --> op5
    t4 --> op5
    classDef parameter fill:#ffe3b3,stroke:#c05800,stroke-width:2.5px,color:#000
    classDef input fill:#d8eaf8,stroke:#2c6fa8,stroke-width:1px,color:#000
    classDef constant fill:#ececec,stroke:#8a8a8a,stroke-width:1px,color:#000
    classDef value fill:#ffffff,stroke:#444444,stroke-width:1px,color:#000
    classDef op fill:#e9e4f5,stroke:#6a55a0,stroke-width:1px,color:#000
"""
    )


def test_a_product_in_dot() -> None:
    a = mg.Tensor(2.0, requires_grad=True)
    box, oval = "penwidth", "shape=ellipse style=filled"
    assert (
        mg.graph(a * a, names={"a": a}).dot()
        == f"""\
digraph {{
    rankdir=LR
    node [fontname="Helvetica" style="rounded,filled" shape=box]
    t0 [label="a\\n() float64\\ndata 2" fillcolor="#ffe3b3" color="#c05800" {box}=2.5]
    t1 [label="() float64\\ndata 4" fillcolor="#ffffff" color="#444444" {box}=1]
    op1 [label="multiply" fillcolor="#e9e4f5" color="#6a55a0" {box}=1 {oval}]
    t0 -> op1
    t0 -> op1
    op1 -> t1
}}
"""
    )


def test_the_neuron_in_a_terminal() -> None:
    assert (
        repr(of_neuron())
        == """\
graph of 3 ops
#2 = matmul(inputs (5, 3), 0.weight (3, 1)) -> (5, 1) float64
#3 = sigmoid(#2) -> (5, 1) float64
#5 = sum_of_squares(#3, targets (5, 1)) -> () float64, data 0.7131"""
    )


def test_micrograds_picture() -> None:
    a, b, c = (mg.Tensor(x, requires_grad=True) for x in (2.0, -3.0, 6.5))
    product = a * b
    total = product + c
    out = total.tanh()
    out.backward(retain_graph=True)
    graph = mg.graph(out, names={"a": a, "b": b, "c": c, "d": product, "out": out})
    assert [(box.name, *box.notes) for box in graph.boxes] == [
        ("a", "data 2", "grad -2.359"), ("b", "data -3", "grad 1.573"), ("d", "data -6"),
        ("c", "data 6.5", "grad 0.7864"), ("",), ("out", "data 0.4621"),
    ]  # fmt: skip
    a_, b_, d_, c_, _, out_ = (box.right for box in Picture(graph.svg()).boxes)
    assert a_ == b_ < c_ == d_ < out_


def test_a_chain_is_drawn_straight_with_its_parameters_below() -> None:
    graph = of_mlp()
    boxes = Picture(graph.svg()).boxes
    flow = [f for f, box in zip(boxes, graph.boxes) if box.kind in ("input", "value")][:-2]
    assert len(flow) == 4
    assert len({box.middle for box in flow}) == 1
    parameters = [f for f, box in zip(boxes, graph.boxes) if box.kind == "parameter"]
    assert all(below.top > flow[0].bottom for below in parameters)
    assert parameters[0].bottom < parameters[1].top  # in the order of arguments


def test_arrows_are_straight_and_do_not_cross_where_that_can_be() -> None:
    def function(a: Any, b: Any, c: Any, d: Any) -> None:
        x, y = a + b, c + d
        y.exp()
        x.exp()

    graph = mg.graph(function, *np.ones((4, 5)))
    names = ["a", "b", "add", "c", "d", "add", "exp", "exp"]
    assert [box.name or box.op for box in graph.boxes] == names
    a, b, x, c, d, y, late, early = (box.middle for box in Picture(graph.svg()).boxes)
    assert a < b
    assert c < d
    assert (x, y) == (early, late) == ((a + b) // 2, (c + d) // 2)


def test_a_leaf_stands_beside_what_it_meets() -> None:
    graph = mg.graph(lambda a, b, c: (a.exp().exp(), b.exp().exp(), c.exp() + leaf(3)), *X[:3])
    frames = Picture(graph.svg()).boxes
    (place,) = [i for i, box in enumerate(graph.boxes) if box.kind == "parameter"]
    assert graph.boxes[place + 1].sources == (place - 1, place)
    assert frames[place].top - frames[place - 1].bottom == drawing.GAP


def test_arrows_from_one_tensor_to_one_op_lie_side_by_side() -> None:
    picture = Picture(mg.graph(lambda x: (np.stack([x, x]), np.stack([x, x, x])), 1.0).svg())
    for op, expected in zip(picture.ops.values(), ([-4, 4], [-5, 0, 5])):
        tips = [path.ends[-1] for path in picture.paths]
        assert [y - op.middle for x, y in tips if x == op.left and inside(y, op)] == expected


@pytest.mark.parametrize(("wanted", "weights", "expected"), [
    ([0, 0], [1, 1], [-27, 27]),
    ([0, 0], [1, 3], [-40.5, 13.5]),  # the centre of gravity stays
    ([0, 0, 500], [1, 1, 1], [-27, 27, 500]),
    ([0, 100, 90], [1, 1, 1], [0, 68, 122]),
    ([50, 60, 0], [1, 1, 2], [-40, 14, 68]),
])  # fmt: skip
def test_boxes_make_room_for_each_other(
    wanted: list[float], weights: list[float], expected: list[float]
) -> None:
    column = [drawing.Place(0, 40, weight) for weight in weights]
    assert drawing._apart(column, wanted) == pytest.approx(expected)


# What is in a graph


def test_the_tape_knows_what_gradients_flow_through() -> None:
    model = neuron()
    graph = mg.graph(mg.sum_of_squares(model(X), T), names=model)
    assert [(box.kind, box.name, box.op, box.sources) for box in graph.boxes] == [
        ("parameter", "0.weight", "", ()), ("value", "", "matmul", (0,)),
        ("value", "", "sigmoid", (1,)), ("value", "", "sum_of_squares", (2,)),
    ]  # fmt: skip
    assert [box.lines for box in graph.boxes[1:3]] == [["(5, 1) float64"]] * 2


def test_leaves_without_a_name_are_told_by_shape() -> None:
    graph = mg.graph(leaf(5, 2) @ leaf(2, 7))
    assert [box.lines for box in graph.boxes[:2]] == [["(5, 2) float64"], ["(2, 7) float64"]]
    assert "#2 = matmul(#0 parameter (5, 2), #1 parameter (2, 7))" in repr(graph)


def test_a_function_shows_data_constants_and_what_no_gradient_flows_through() -> None:
    def function(x: Any, y: Any, *more: Any) -> None:
        mask = np.array([True, False, True, True, False])
        np.where(mask, x * 2, y)
        mg.Tensor(more[0]).sum(axis=0, keepdims=True)[0, 1:, None]

    graph = mg.graph(function, [1.0] * 5, np.ones(5, np.float32), np.ones((5, 5)))
    assert [(box.kind, box.name, box.op, box.constants) for box in graph.boxes] == [
        ("input", "x", "", ()), ("constant", "", "", ()), ("value", "", "multiply", ()),
        ("input", "y", "", ()), ("value", "", "astype", ("dtype=float64",)),
        ("constant", "condition", "", ()), ("value", "", "where", ()),
        ("input", "input 2", "", ()), ("value", "", "sum", ("axis=0", "keepdims=True")),
        ("value", "", "getitem", ("index=(0, 1:, None)",)),
    ]  # fmt: skip
    assert [box.sources for box in graph.boxes if box.op] == [(0, 1), (3,), (2, 4, 5), (7,), (8,)]


@pytest.mark.parametrize(("constant", "text"), [
    (1, "1"), (True, "True"), (0.1, "0.1"), (np.float32(0.1), "0.1"), (np.int64(3), "3"),
    ("mean", "mean"), ((1,), "(1,)"), ([0, 1], "(0, 1)"), (slice(None, 5), ":5"),
    (slice(None, None, -1), "::-1"), (Ellipsis, "..."), (np.float32, "float32"),
    (np.dtype("f4"), "float32"), (np.random.default_rng(), "Generator"),
    ("a" * 28, "a" * 28), ("a" * 29, "a" * 25 + "..."),
    (tuple(range(99)), "(0, 1, 2, 3, 4, 5, 6, 7, ..."),
])  # fmt: skip
def test_constants_are_shown_in_short(constant: Any, text: str) -> None:
    def op(x: Any, *, constant: Any) -> Any:
        return x + 1, (lambda g: g,)

    graph = mg.graph(lambda x: mg.apply(op, x, constant=constant), 1.0)
    assert graph.boxes[-1].constants == (f"constant={text}",)


def test_constants_that_are_off_are_left_out() -> None:
    graph = mg.graph(lambda x: x.sum(axis=None, keepdims=False), [1.0])
    assert graph.boxes[-1].constants == ()


def test_a_tensor_that_is_used_twice_has_one_box_and_a_number_one_per_use() -> None:
    model = neuron()
    graph = mg.graph(lambda x: (model(x) + model(x)) * 2.0 - 2.0, X, names=model)
    names = [box.name for box in graph.boxes]
    assert names.count("x") == names.count("0.weight") == 1
    assert [box.notes for box in graph.boxes if box.kind == "constant"] == [("data 2",)] * 2
    assert "multiply(#6, 2)" in repr(graph)


def test_data_that_go_on_as_arrays_or_detached_remain_one_box() -> None:
    def function(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        y = x * 3
        return mg.cross_entropy(y - y.detach().exp(), labels.data)

    graph = mg.graph(function, np.ones((5, 2)), [0, 1, 0, 1, 0])
    assert [box.name for box in graph.boxes if box.kind == "input"] == ["x", "labels"]
    assert [box.sources for box in graph.boxes if box.op] == [(0, 1), (2,), (2, 3), (4, 5)]


def test_a_tensor_that_is_gone_is_not_taken_for_a_new_one() -> None:
    def function(x: mg.Tensor) -> None:
        for i in range(9):
            x + mg.Tensor(np.full(2, i))

    notes = [box.notes for box in mg.graph(function, [1, 2]).boxes if box.kind == "constant"]
    assert notes == [(f"data {i}, {i}",) for i in range(9)]


def test_tensors_of_up_to_four_entries_show_them() -> None:
    def notes(*values: Any) -> Any:
        return [mg.graph(lambda x: x * 1, x).boxes[0].notes for x in values]

    assert notes(0.70710678, [1, 2], [[1.5, -2], [np.inf, np.nan]], [True], 1e9) == [
        ("data 0.7071",), ("data 1, 2",), ("data 1.5, -2, inf, nan",), ("data True",),
        ("data 1e+09",),
    ]  # fmt: skip
    assert notes([1.0] * 5, np.ones((0, 3))) == [(), ()]


def test_gradients_of_few_entries_are_shown() -> None:
    x, w = leaf(2), leaf(5)
    (x.sum() * w.sum()).backward()
    assert [mg.graph(t.sum()).boxes[0].notes for t in (x, w)] == [("grad 5, 5",), ()]
    assert mg.graph(lambda t: t.sum(), x).boxes[0].notes == ("data 1, 1", "grad 5, 5")


def test_all_kinds_of_names() -> None:
    model, other, shared = neuron(), neuron(), leaf(3)

    def names(given: Any) -> list[str]:
        made = mg.graph((model(X) + other(X)).sum() + (shared * shared).sum(), names=given)
        return [box.name for box in made.boxes if box.kind == "parameter"]

    assert names(None) == ["", "", ""]
    assert names(model) == ["0.weight", "", ""]
    assert names([model, other]) == ["0.0.weight", "1.0.weight", ""]
    assert names({"a": model, "b": [other, shared], "again": model}) == [
        "a.0.weight", "b.0.0.weight", "b.1"
    ]  # fmt: skip
    assert names(dict(other.named_parameters())) == ["", "0.weight", ""]


def test_names_that_are_given_win_over_those_of_the_function() -> None:
    model = neuron()
    x = mg.Tensor(X)
    assert [box.name for box in mg.graph(model, x).boxes[:2]] == ["x", "0.weight"]
    graph = mg.graph(model, x, names={"data": x, "w": model})
    assert [box.name for box in graph.boxes[:2]] == ["data", "w.0.weight"]


def test_inputs_inside_lists_and_tuples_are_inputs() -> None:
    graph = mg.graph(lambda pair: pair[0] + pair[1], (mg.Tensor(1.0), mg.Tensor(2.0)))
    assert [(box.kind, box.name) for box in graph.boxes[:2]] == [
        ("input", "pair.0"), ("input", "pair.1")
    ]  # fmt: skip
    graph = mg.graph(lambda pair: pair[0] + pair[1], [mg.Tensor(1.0), mg.Tensor(2.0)])
    assert [box.name for box in graph.boxes[:2]] == ["pair.0", "pair.1"]


def test_a_function_without_signature_has_numbered_inputs() -> None:
    class Strange:
        __signature__ = 5

        def __call__(self, x: Any) -> Any:
            return -x

    assert mg.graph(Strange(), 1.0).boxes[0].name == "input 0"


def test_running_statistics_bear_their_names_in_evaluation_mode() -> None:
    model = mg.Sequential(mg.BatchNorm1d(3)).eval()
    names = [(box.kind, box.name) for box in mg.graph(model, X).boxes]
    assert ("constant", "0.running_mean") in names
    assert ("parameter", "0.weight") in names


# What stands out


def test_parameters_stand_out() -> None:
    graph = of_mlp()
    for frame, box in zip(Picture(graph.svg()).boxes, graph.boxes):
        assert (frame.border > 2) == (box.kind == "parameter")
        assert frame.bold == ((box.name,) if box.name else ())
    assert re.findall(r't(\d+)\["\d\.\w+<br/>[^"]+"\]:::parameter', graph.mermaid()) == [
        str(i) for i, box in enumerate(graph.boxes) if box.kind == "parameter"
    ]


def test_the_picture_brings_its_own_background_and_a_title() -> None:
    root = Picture(of_neuron().svg()).root
    title, background = root[0], root[1]
    assert (title.tag, title.text) == (f"{SVG}title", "graph of 3 ops")
    assert background.attrib["fill"] == "#fff"
    assert root.attrib["role"] == "img"


def test_names_may_hold_anything() -> None:
    w = leaf(5)
    graph = mg.graph(w + 1.0, names={AWKWARD: w})
    assert Picture(graph.svg()).boxes[0].texts[0] == AWKWARD
    numbers = "".join(c if c in "bxy=-" else f"&#{ord(c)};" for c in AWKWARD)
    assert f'label="{numbers}\\n(5,) float64"' in graph.dot()
    assert f'["{numbers.replace("&", "")}<br/>(5,) float64"]' in graph.mermaid()
    assert repr(graph) == f"graph of 1 op\n#1 = add({AWKWARD} (5,)) -> (5,) float64"


@pytest.mark.parametrize("character", ["\n", "\x00", "\ud800", "\\"])
def test_what_no_picture_can_show_is_replaced(character: str) -> None:
    w = leaf(5)
    graph = mg.graph(w + 1.0, names={f"a{character}b": w})
    assert Picture(graph.svg()).boxes[0].texts[0] == "a\ufffdb"
    assert "a&#65533;b\\n(5,)" in graph.dot()
    assert "a#65533;b<br/>" in graph.mermaid()


def test_wide_characters_have_room() -> None:
    def width(name: str) -> int:
        w = leaf(5)
        box = Picture(mg.graph(w + 1.0, names={name: w}).svg()).boxes[0]
        return box.right - box.left

    assert width("日" * 10) == width("n" * 20) > width("n" * 10)


def test_an_op_may_be_any_callable() -> None:
    graph = mg.graph(mg.apply(lambda x: (x, (lambda g: g,)), leaf(5)))
    assert "op1[&#60;lambda&#62;" in graph.dot().replace(' [label="', "[")


# Large graphs


def test_a_chain_longer_than_the_recursion_limit() -> None:
    x = y = leaf()
    for _ in range(20_000):
        y = y + x
    graph = mg.graph(y)
    assert len(graph.boxes) == 20_001
    assert graph.mermaid().count("-->") == graph.dot().count("->") == 60_000
    lines = repr(graph).splitlines()
    assert len(lines) == 62
    assert lines[0] == "graph of 20,000 ops"
    assert lines[31] == "... 19,940 more"
    assert lines[-1].startswith("#20000 = add(#19999, #0 parameter ())")


def test_a_picture_of_a_long_chain() -> None:
    x = y = leaf()
    for _ in range(500):
        y = y + x
    picture = Picture(mg.graph(y).svg())
    assert picture.edges() == Counter([(0, 1), (0, 1), *((i, i + 1) for i in range(1, 500))]) + (
        Counter((0, i) for i in range(2, 501))
    )


def test_up_to_sixty_ops_are_printed_all() -> None:
    y = leaf()
    for _ in range(60):
        y = -y
    assert len(repr(mg.graph(y)).splitlines()) == 61
    assert repr(mg.graph(-y)).splitlines()[31] == "... 1 more"


def test_what_is_too_large_for_a_picture_says_so(monkeypatch: Any) -> None:
    graph = of_neuron()
    assert graph._repr_svg_() == graph.svg()
    monkeypatch.setattr(drawing, "MOST", 5)
    with pytest.raises(ValueError, match=r"can have 5 tensors .* of 3 ops needs 6: draw"):
        graph.svg()
    assert graph._repr_svg_() is None


def test_bends_count_towards_the_size_of_a_picture(monkeypatch: Any) -> None:
    graph = mg.graph(lambda x: x.exp().exp().exp() + x, 1.0)  # an arrow passes three columns
    monkeypatch.setattr(drawing, "MOST", 8)
    assert Picture(graph.svg()).edges() == edges_of(graph)
    monkeypatch.setattr(drawing, "MOST", 7)
    with pytest.raises(ValueError, match=r"4 ops needs 8"):
        graph.svg()


# What drawing leaves alone, and what it refuses


def test_drawing_changes_no_gradient_no_mode_and_no_graph() -> None:
    model = mg.Sequential(mg.Linear(3, 2), mg.Dropout(0.5), mg.Linear(2, 1)).eval()
    dropout = [*model.layers_within()][2][1].train()
    loss = mg.sum_of_squares(model(X), T)
    before = model.state_dict()
    mg.graph(loss, names=model).svg()
    mg.graph(model, X).svg()
    assert [layer for _, layer in model.layers_within() if layer.training] == [dropout]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(np.array_equal(x, before[name]) for name, x in model.state_dict().items())
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_layer_is_drawn_in_evaluation_mode_and_stays_as_it_was() -> None:
    class Counting(mg.Layer):
        def __init__(self) -> None:
            self.calls = np.array(0)

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            self.calls = self.calls + 1
            return x

    model = mg.Sequential(mg.Linear(3, 4), mg.Dropout(0.5), Counting(), mg.BatchNorm1d(4))
    state = model.state_dict()
    ops = [box.op for box in mg.graph(model, X).boxes if box.op]
    assert ops == ["matmul", "batch_norm"]
    assert all(layer.training for _, layer in model.layers_within())
    assert all(np.array_equal(x, state[name]) for name, x in model.state_dict().items())
    mg.graph(lambda x: model(x), X)  # a function is free to do what it does
    assert model[2].calls == 1
    assert "multiply" in [box.op for box in mg.graph(lambda x: model(x), X).boxes]


def freed() -> mg.Tensor:
    y = leaf() * 2.0
    y.backward()
    return y


def under_no_grad() -> mg.Tensor:
    with mg.no_grad():
        return leaf() * 2.0


@pytest.mark.parametrize(("arguments", "names", "error", "message"), [
    ((freed(),), None, RuntimeError, "backward has freed; draw it before .* retain_graph=True"),
    ((freed() + 1.0,), None, RuntimeError, "backward has freed"),
    ((under_no_grad(),), None, RuntimeError, r"under no_grad\(\): pass a function and its inputs"),
    ((leaf(),), None, RuntimeError, "this one is a leaf"),
    ((mg.Tensor(1.0),), None, RuntimeError, "requires_grad=True"),
    ((leaf() * 2, 1.0), None, TypeError, "of a tensor needs no inputs; pass the function"),
    ((5,), None, TypeError, "a tensor, or a function and its inputs; received int"),
    ((lambda x: x, 1.0), None, ValueError, "must run an op on tensors .* ran none"),
    ((leaf() * 2,), "w", TypeError, "names must be a layer, or a dict or list .* received str"),
    ((lambda x: -x, 1.0), neuron().named_parameters(), TypeError, "received generator"),
])  # fmt: skip
def test_errors_name_the_remedy(arguments: Any, names: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        mg.graph(*arguments, names=names)


def test_what_a_function_raises_comes_through_and_no_longer_is_anything_watched() -> None:
    with pytest.raises(ValueError, match="matmul"):
        mg.graph(lambda x: x @ np.ones((7, 7)), X)
    graph = mg.graph(lambda x: -x, 1.0)
    leaf() * 5.0
    assert len(graph.boxes) == 2
