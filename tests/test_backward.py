"""The tape: gradients reach every leaf, once, in linear time, and leave nothing behind."""

import functools
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import tape


def leaf(data: Any) -> mg.Tensor:
    return mg.Tensor(data, requires_grad=True, dtype=float)


def grad(t: mg.Tensor) -> Any:
    assert t.grad is not None
    return t.grad.tolist()


@pytest.fixture
def no_gc() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_gradients_reach_a_tensor_used_twice() -> None:
    x = leaf(3)
    (x * x + x).backward()
    assert grad(x) == 7


def test_gradients_through_shared_sums_are_not_aliased() -> None:
    a, b = leaf([1.0]), leaf([1.0])
    c = a + b
    (c * 3 + a * 2).sum().backward()
    assert (grad(a), grad(b)) == ([5], [3])
    assert a.grad is not b.grad


def test_first_gradients_are_arrays_that_nobody_else_holds() -> None:
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    mine = np.ones(2)
    (a + b).backward(mine)
    for array in (a.grad, b.grad):
        assert array is not None
        array *= 10
    assert mine.tolist() == [1, 1]
    assert (grad(a), grad(b)) == ([10, 10], [10, 10])
    a.backward(mine)
    b.grad = None
    b.reshape(2, 1).reshape(2).backward(mine)
    assert b.grad is not None
    b.grad *= 5
    assert mine.tolist() == [1, 1]


def test_a_rule_that_keeps_its_result_is_safe_with_retain_graph() -> None:
    kept = np.full(2, 3.0)
    x = leaf([1.0, 2.0])
    y = mg.apply(lambda x: (x * 3, (lambda g: kept,)), x)
    y.backward([1, 1], retain_graph=True)
    y.backward([1, 1])
    assert grad(x) == [6, 6]
    assert kept.tolist() == [3, 3]


def test_sums_under_retain_graph_leave_what_rules_keep_alone() -> None:
    kept = np.full(2, 3.0)
    x = leaf([1.0, 2.0])
    y = mg.apply(lambda x: (x * 3, (lambda g: kept,)), x)
    (x * 2 + y + x).backward([1, 1], retain_graph=True)
    assert grad(x) == [6, 6]
    assert kept.tolist() == [3, 3]


def test_three_uses_of_an_intermediate_sum_up() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2
    (y * y + y.exp() * 0 + y + y[::-1]).sum().backward()
    assert grad(x) == [2 * (2 * 2 + 1 + 1), 2 * (2 * 4 + 1 + 1)]


def test_backward_adds_to_what_leaves_hold() -> None:
    x = leaf([1.0, 2.0])
    x.sum().backward()
    first = x.grad
    (x * 2).sum().backward()
    assert grad(x) == [3, 3]
    assert first is not None
    assert first.tolist() == [1, 1]


def test_values_of_ops_hold_no_gradient() -> None:
    x = leaf(1)
    y = x * 2
    (y + y.exp() + y).backward()
    assert y.grad is None


def test_gradients_of_numbers_are_arrays() -> None:
    x = leaf(2)
    for _ in range(3):
        (x * x + x).backward()
        assert type(x.grad) is np.ndarray


def test_backward_of_a_leaf_is_its_own_gradient() -> None:
    x = leaf(2)
    x.backward()
    x.backward()
    assert grad(x) == 2


def test_a_size_one_tensor_needs_no_gradient() -> None:
    x = leaf([[2.0]])
    (x * 3).backward()
    assert grad(x) == [[3]]


@pytest.mark.parametrize("gradient", [[1, 2], np.array([1.0, 2.0]), mg.Tensor([1.0, 2.0])])
def test_a_gradient_may_be_anything_of_the_same_shape(gradient: Any) -> None:
    x = leaf([3.0, 4.0])
    (x * x).backward(gradient)
    assert grad(x) == [6, 16]
    x.backward(gradient)
    assert x.grad is not None
    assert x.grad.dtype == np.float64
    tied = leaf([1.0, 2.0])
    tied.maximum(tied.data).backward(gradient)
    assert grad(tied) == [0.5, 1]


def test_backward_without_a_fitting_gradient_is_refused() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"this one has shape \(2,\): reduce it first"):
        (x * 2).backward()
    for gradient in (1.0, [1.0], [[1.0, 1.0]], np.ones(3)):
        with pytest.raises(ValueError, match=r"must have the tensor's shape \(2,\); received"):
            (x * 2).backward(gradient)
    with pytest.raises(TypeError, match="received str"):
        (x * 2).backward("one")
    assert x.grad is None


def test_backward_without_history_is_refused() -> None:
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        mg.Tensor(1.0).backward()
    with mg.no_grad():
        y = leaf(1) * 2
    with pytest.raises(RuntimeError, match="no_grad"):
        y.backward()


def test_a_second_backward_needs_retain_graph() -> None:
    x = leaf(3)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert grad(x) == 12
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()
    assert grad(x) == 12


def test_a_freed_part_of_a_graph_changes_no_leaf() -> None:
    x, late = leaf(3), None
    shared = x * x
    shared.backward()
    late = leaf(1)
    with pytest.raises(RuntimeError, match="freed"):
        (late * 5 + shared).backward()
    assert late.grad is None
    assert grad(x) == 6


def test_an_exception_in_a_rule_changes_no_leaf() -> None:
    def broken(x: Any) -> Any:
        def rule(g: Any) -> Any:
            raise ZeroDivisionError("in the rule")

        return x * 1, (rule,)

    x, other = leaf(3), leaf(1)
    with pytest.raises(ZeroDivisionError, match="in the rule"):
        (mg.apply(broken, x) + other * 2).backward()
    assert x.grad is None
    assert other.grad is None
    assert np.geterr()["divide"] == "warn"


def test_unneeded_gradients_are_not_computed() -> None:
    def op(x: Any, y: Any) -> Any:
        def forbidden(g: Any) -> Any:
            raise AssertionError

        return x * y, (forbidden, lambda g: g * x)

    weight = leaf([2.0])
    mg.apply(op, [3.0], weight).backward()
    assert grad(weight) == [3]


def test_a_chain_of_100_000_ops_goes_back_and_is_freed_without_recursion() -> None:
    limit = sys.getrecursionlimit()
    threading.stack_size(1024 * 1024)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            x = leaf([1.0])
            y = x
            for _ in range(100_000):
                y = y + 1
            y.backward()
            assert grad(x) == [1]
            for _ in range(100_000):
                y = y * 1.0 + x
            del y  # never gone back along
        except BaseException as error:
            failures.append(error)

    try:
        sys.setrecursionlimit(200)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(0)
    assert failures == []


def test_a_diamond_of_40_steps_is_walked_once() -> None:
    calls = 0

    def doubled(x: Any, y: Any) -> Any:
        def rule(g: Any) -> Any:
            nonlocal calls
            calls += 1
            return g

        return x + y, (rule, rule)

    x = leaf(1)
    y = x
    for _ in range(40):
        y = mg.apply(doubled, y, y)
    y.backward()
    assert grad(x) == 2.0**40
    assert calls == 80


def test_each_rule_runs_after_all_that_flowed_from_its_value() -> None:
    x = leaf(2)
    a = x * 3
    b = a.exp()
    c = a * b
    (c + a + b).backward()
    assert grad(x) == pytest.approx(3 * (np.exp(6) + 6 * np.exp(6) + 1 + np.exp(6)))


def test_a_graph_dropped_without_backward_is_freed_at_once(no_gc: None) -> None:
    x = leaf(np.ones(10))
    y = (x * 2).exp()
    node, loss = weakref.ref(y), (y * y).sum()
    del y
    assert node() is None  # the tape holds arrays, not tensors
    held = weakref.ref(loss)
    del loss
    assert held() is None
    count = len(gc.get_objects())
    for _ in range(100):
        (x.exp() * x).sum()
    assert len(gc.get_objects()) - count < 50


def test_what_rules_hold_is_freed_as_the_walk_goes_on(no_gc: None) -> None:
    freed: list[int] = []

    def op(x: Any, *, number: int) -> Any:
        saved = np.ones(3).view(Watched)
        weakref.finalize(saved, freed.append, number)
        return x * 1, (lambda g: record(g, saved),)

    def record(g: Any, saved: Any) -> Any:
        seen.append(list(freed))
        return g

    seen: list[list[int]] = []
    x = leaf(1)
    y = x
    for i in range(4):
        y = mg.apply(op, y, number=i)
    y.backward()
    assert seen == [[], [3], [3, 2], [3, 2, 1]]
    assert freed == [3, 2, 1, 0]


class Watched(np.ndarray[Any, Any]):
    """An array that can be referred to weakly."""


def test_losses_kept_in_a_list_keep_no_graph(no_gc: None) -> None:
    layer = mg.Linear(3, 1)
    freed: list[int] = []

    def op(x: Any, *, number: int) -> Any:
        saved = x.view(Watched)
        weakref.finalize(saved, freed.append, number)
        return x * 1, (lambda g: g * (saved == saved),)

    losses = []
    for i in range(3):
        losses.append(
            mg.sum_of_squares(mg.apply(op, layer(np.ones((2, 3))), number=i), np.ones((2, 1)))
        )
        losses[-1].backward()
    assert freed == [0, 1, 2]


def test_values_that_no_rule_needs_are_not_kept(no_gc: None) -> None:
    x = leaf(np.ones(3))
    y = x + 1
    value = weakref.ref(y.data.base) if y.data.base is not None else weakref.ref(y.data)
    z = y + 1
    del y
    assert value() is None
    z.sum().backward()
    assert grad(x) == [1, 1, 1]


def test_no_grad_records_nothing_and_nests() -> None:
    x = leaf(1)
    with mg.no_grad():
        assert not (x * 2).requires_grad
        with mg.no_grad():
            pass
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_decorates_functions_and_ends_with_an_exception() -> None:
    @mg.no_grad()
    def double(x: mg.Tensor) -> mg.Tensor:
        if x.item() == 0:
            raise ZeroDivisionError
        return x * 2

    assert not double(leaf(1)).requires_grad
    with pytest.raises(ZeroDivisionError):
        double(leaf(0))
    assert (leaf(1) * 2).requires_grad
    assert double.__name__ == "double"


def test_no_grad_holds_for_its_thread_alone() -> None:
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with mg.no_grad():
            inside.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    try:
        assert (leaf(1) * 2).requires_grad
    finally:
        done.set()
        thread.join()


def train(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    model = mg.Sequential(mg.Linear(4, 8, rng=rng), mg.Tanh(), mg.Linear(8, 1, rng=rng))
    optimizer = mg.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, y = rng.standard_normal((16, 4)), rng.standard_normal((16, 1))
    for _ in range(200):
        optimizer.zero_grad()
        mg.mean_squared_error(model(x), y).backward()
        optimizer.step()
        with mg.no_grad():
            model(x)
    return model.state_dict()


def test_four_threads_train_four_models_as_one_thread_does() -> None:
    results: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: results.update({seed: train(seed)}))
        for seed in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        for name, array in train(seed).items():
            assert np.array_equal(results[seed][name], array)


WRONG_RULES: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda g: np.ones(3), ValueError, r"its argument's shape \(2,\).*received \(3,\)"),
    (lambda g: np.float64(1), ValueError, r"shape \(2,\).*received \(\)"),
    (lambda g: None, TypeError, "must return an array of numbers; received None"),
    (lambda g: "text", TypeError, "must return an array of numbers"),
]


def test_a_transposed_gradient_is_refused() -> None:
    x = leaf(np.ones((2, 3)))
    y = mg.apply(lambda x: (x * 1, (functools.partial(np.transpose),)), x)
    with pytest.raises(ValueError, match=r"partial.*shape \(2, 3\).*received \(3, 2\)"):
        y.backward(np.ones((2, 3)))


@pytest.mark.parametrize(("rule", "kind", "message"), WRONG_RULES)
def test_rules_that_return_what_does_not_fit_are_refused_by_name(
    rule: Any, kind: type[Exception], message: str
) -> None:
    x = leaf([1.0, 2.0])
    y = mg.apply(lambda x: (x * 1, (rule,)), x)
    with pytest.raises(kind, match=f"the rule .*<lambda>.*{message}"):
        y.backward([1, 1])
    assert x.grad is None


@pytest.mark.parametrize(
    ("rules", "inputs"),
    [((), 1), ((abs, abs), 1), ((abs,), 2), ((abs,) * 3, 2), ((abs,), 3), ((abs,) * 4, 3)],
)
def test_an_op_must_return_one_rule_per_array(rules: Any, inputs: int) -> None:
    def op(*arrays: Any) -> Any:
        return arrays[0] * 1, rules

    with pytest.raises(
        TypeError, match=f"op must return its value and .* per array; received {len(rules)}"
    ):
        mg.apply(op, *[leaf(1)] * inputs)


@pytest.mark.parametrize(
    "returned",
    [
        np.ones(2), np.ones((2, 1)), np.ones((2, 2)), np.ones((2, 3)), np.ones(3), np.ones(1), 1.0,
        None, (np.ones(2),), (np.ones(2), abs), (np.ones(2), None), (abs, abs, abs),
    ],
)  # fmt: skip
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_an_op_that_returns_something_else_is_refused(returned: Any, inputs: int) -> None:
    with pytest.raises(TypeError, match="must return its value and a tuple of one rule per array"):
        mg.apply(lambda *arrays: returned, *[leaf(1)] * inputs)


def test_rules_may_return_lists_and_wider_dtypes() -> None:
    x = mg.Tensor(np.ones(2, np.float32), requires_grad=True)
    rule: Any = lambda g: [1, 2]  # noqa: E731
    mg.apply(lambda x: (x * 1, (rule,)), x).backward([1, 1])
    assert grad(x) == [1, 2]
    assert x.grad is not None
    assert x.grad.dtype == np.float32


def test_apply_passes_constants_and_converts_inputs() -> None:
    def scaled(x: Any, *, factor: float) -> Any:
        return x * factor, (lambda g: g * factor,)

    assert mg.apply(scaled, [1.0, 2.0], factor=3).data.tolist() == [3, 6]
    x = leaf(2)
    mg.apply(scaled, x, factor=5).backward()
    assert grad(x) == 5
    with pytest.raises(TypeError, match="fcator"):
        mg.apply(scaled, x, fcator=5)


def test_an_op_of_three_arrays_names_itself_in_errors() -> None:
    def mixed(x: Any, y: Any, z: Any) -> Any:
        return x * y + z, (lambda g: g * y, lambda g: g * x, lambda g: g)

    x = leaf([1.0, 2.0])
    mg.apply(mixed, x, 3, [1, 1]).sum().backward()
    assert grad(x) == [3, 3]
    with pytest.raises(ValueError, match=r"mixed of shape \(2,\) and \(\) and \(3,\)"):
        mg.apply(mixed, x, 3, [1, 1, 1])


def test_ops_restore_numpys_error_state() -> None:
    with np.errstate(all="raise"):
        assert mg.Tensor([0.0]).log().item() == -np.inf
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1))


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_ops_of_any_number_of_arrays_are_silent_and_restore_the_state(inputs: int) -> None:
    def infinite(*arrays: Any) -> Any:
        return sum(arrays) / np.zeros(()), (lambda g: g,) * inputs

    def broken(*arrays: Any) -> Any:
        raise KeyError("in the op")

    before = np.geterr()
    assert mg.apply(infinite, *[leaf(1)] * inputs).item() == np.inf
    with pytest.raises(KeyError, match="in the op"):
        mg.apply(broken, *[leaf(1)] * inputs)
    assert np.geterr() == before


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_an_index_error_in_an_op_names_it(inputs: int) -> None:
    def ninth(*arrays: Any) -> Any:
        return arrays[0][9], ()

    with pytest.raises(IndexError, match=r"ninth of shape \(2,\)"):
        mg.apply(ninth, *[leaf([1.0, 2.0])] * inputs)


def test_a_value_of_a_subclass_of_ndarray_becomes_a_plain_one() -> None:
    y = mg.apply(lambda x: ((x * 1).view(Watched), (lambda g: g,)), leaf([1.0]))
    assert type(y.data) is np.ndarray


def test_an_op_without_a_name_is_shown_as_it_is() -> None:
    with pytest.raises(ValueError, match=r"functools\.partial.* of shape \(2,\) and \(3,\)"):
        mg.apply(functools.partial(mg.ops.add), leaf([1, 2]), leaf([1, 2, 3]))


def test_without_a_context_variable_the_error_state_is_numpys_own(monkeypatch: Any) -> None:
    class OfNumPy1:
        def run(self, function: Any, **options: Any) -> None:
            function(**options)

        def items(self) -> list[Any]:
            return []

    monkeypatch.setattr(tape, "copy_context", OfNumPy1)
    before = np.geterr()
    state, silence = tape._find_error_state()
    assert np.geterr() == before
    token = state.set(silence)
    try:
        assert set(np.geterr().values()) == {"ignore"}
    finally:
        state.reset(token)
    assert np.geterr() == before


def test_a_rule_that_writes_into_its_gradient_is_named() -> None:
    def op(x: Any) -> Any:
        def to_x(g: Any) -> Any:
            g *= 2
            return g

        return x * 2, (to_x,)

    with pytest.raises(ValueError, match=r"the rule .*op\.to_x: output array is read-only"):
        mg.apply(op, leaf([1.0, 2.0])).sum().backward()


def test_an_error_of_a_kind_of_its_own_passes_a_rule_as_it_is() -> None:
    def op(x: Any) -> Any:
        return x * 1, (lambda g: np.linalg.cholesky(-np.eye(2)),)

    with pytest.raises(np.linalg.LinAlgError):
        mg.apply(op, leaf([1.0, 2.0])).sum().backward()
