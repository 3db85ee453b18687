"""detect_anomaly: what it finds, how it says so, and that it changes nothing else."""

import contextlib
import functools
import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import tensor
from tests.rows import Inputs
from tests.rows import Row as OpRow
from tests.test_layer_table import Row, each, outputs, stirred
from tests.test_ops import each_case

NUMBER: Any = mg.Tensor([4.0, -1.0, 0.0], requires_grad=True)


def message(call: Callable[[], Any], kind: type[Exception] = FloatingPointError) -> str:
    """Return what a call raises under anomaly detection, without the path of this file."""
    with pytest.raises(kind) as caught, mg.detect_anomaly():
        call()
    return str(caught.value).replace(__file__, "HERE")


def only_the_line(text: str) -> str:
    return re.sub(r"line \d+", "line N", text)


# Values


def test_a_value_that_is_not_finite_names_op_place_input_and_line() -> None:
    assert only_the_line(message(lambda: np.sqrt(NUMBER))) == (
        "sqrt gave nan at (1,), from float64 (3,) with -1.0 there; called in HERE, line N: "
        "assert only_the_line(message(lambda: np.sqrt(NUMBER))) == ("
    )
    line = (lambda: 0).__code__.co_firstlineno + 1
    assert f"called in HERE, line {line}: " in message(lambda: np.sqrt(NUMBER))


@pytest.mark.parametrize(
    ("call", "start"),
    [
        (lambda: NUMBER / [1, 1, 0], "divide gave nan at (2,), from float64 (3,) with 0.0 there"),
        (
            lambda: mg.Tensor(1) / NUMBER,
            "divide gave inf at (2,), from float64 () from 1.0 to 1.0 and float64 (3,) with 0.0",
        ),
        (
            lambda: np.exp(mg.Tensor([[0.0, 800.0]])).sum(),
            "exp gave inf at (0, 1), from float64 (1, 2) with 800.0 there",
        ),
        (
            lambda: NUMBER * mg.Tensor([[1.0], [np.nan]]),
            "multiply gave nan at (1, 0), from float64 (3,) from -1.0 to 4.0 and float64 (2, 1) "
            "with nan at (1, 0)",
        ),
        (
            lambda: mg.Tensor([-np.inf, 1.0]).sum(),
            "sum gave -inf at (), from float64 (2,) with -inf at (0,)",
        ),
        (
            lambda: mg.Tensor([3e38, 2e38], dtype=np.float32).sum(),
            "sum gave inf at (), from float32 (2,) from 2e+38 to 3e+38",
        ),
        (
            lambda: mg.Tensor(np.zeros(0)).concatenate([np.inf]),
            "concatenate gave inf at (0,), from float64 (0,) and float64 (1,) with inf at (0,); ",
        ),
        (lambda: np.log(mg.Tensor(0)), "log gave -inf at (), from int64 () with 0 there"),
    ],
    ids=range(8),
)
def test_the_inputs_are_described_by_what_may_have_led_there(
    call: Callable[[], Any], start: str
) -> None:
    assert message(call).startswith(start)


def test_the_layer_around_and_the_users_own_line_are_named() -> None:
    class Root(mg.Layer):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x.sqrt()

    first, second = mg.Linear(3, 2), mg.Linear(2, 2, bias=True)
    second.weight.data[1, 0] = np.nan
    model = mg.Sequential(first, second)
    found = message(lambda: model(np.ones((1, 3))))
    assert "(2, 2) with nan at (1, 0)" in found
    assert "; in Linear(2, 2, bias=True), called in HERE, line" in found
    assert found.endswith(": found = message(lambda: model(np.ones((1, 3))))")
    found = message(lambda: mg.Sequential(Root())(NUMBER))
    assert only_the_line(found).endswith("; in Root(), called in HERE, line N: return x.sqrt()")


def test_a_line_whose_text_is_nowhere_is_named_by_its_number() -> None:
    code = compile("\n\nnumber.sqrt()", "<typed>", "exec")
    found = message(lambda: exec(code, {"__name__": "__main__", "number": NUMBER}))
    assert found.endswith("; called in <typed>, line 3")


def test_integers_booleans_and_empty_arrays_are_fine() -> None:
    with mg.detect_anomaly():
        x = mg.Tensor([2, 3])
        assert ((x * x) > 3).data.tolist() == [True, True]
        assert mg.Tensor(np.zeros((0, 3)), requires_grad=True).exp().shape == (0, 3)


# Gradients


def test_a_gradient_that_is_not_finite_names_op_input_and_line() -> None:
    def call() -> None:
        (mg.Tensor([4.0, 0.0], requires_grad=True).sqrt() * 3).sum().backward()

    assert only_the_line(message(call)) == (
        "the gradient of sqrt with respect to its input 0 is inf at (1,), from float64 (2,) with "
        "3.0 there and float64 (2,) with 0.0 there; called in HERE, line N: "
        "(mg.Tensor([4.0, 0.0], requires_grad=True).sqrt() * 3).sum().backward()"
    )


def test_inputs_are_counted_as_the_op_takes_them() -> None:
    zero: Any = mg.Tensor([0.0], requires_grad=True)
    calls: list[tuple[Callable[[], None], int]] = [
        (lambda: (mg.Tensor([3.0]) ** zero).backward([np.inf]), 1),
        (lambda: ((zero + 2) ** mg.Tensor([2.0])).backward([np.nan]), 0),
        (lambda: mg.Tensor([1.0]).concatenate(zero, [2.0]).backward([0, np.inf, 0]), 1),
    ]
    for call, i in calls:
        assert f"with respect to its input {i} is" in message(call)


def test_gradients_are_looked_at_after_the_context_too() -> None:
    with mg.detect_anomaly():
        y = mg.Tensor([0.0], requires_grad=True).sqrt()
    with pytest.raises(FloatingPointError, match="gradient of sqrt"):
        y.backward()


def test_an_anomaly_leaves_every_gradient_as_it_was() -> None:
    x = mg.Tensor([0.0, 4.0], requires_grad=True)
    message(lambda: (x.sqrt() + x).backward([1, 1]))
    assert x.grad is None


def test_a_rule_that_returns_nonsense_is_told_by_the_tape() -> None:
    def bad(x: Any) -> Any:
        return x * 2, (lambda g: None,)

    with mg.detect_anomaly():
        y = mg.apply(bad, NUMBER)
        with pytest.raises(
            TypeError, match=r"the rule test_a_rule_that_returns.*bad.* must return"
        ):
            y.backward([1, 1, 1])


# Arrays that changed


def backward_after(change: Callable[[], Any], compute: Callable[[], Any]) -> Callable[[], None]:
    def call() -> None:
        y = compute()
        change()
        y.backward(np.ones(y.shape))

    return call


def test_an_array_that_changed_between_forward_and_backward_is_named() -> None:
    x = np.ones((4, 3))
    layer = mg.Linear(3, 2, bias=True)
    found = message(backward_after(lambda: x.fill(2), lambda: layer(x)), RuntimeError)
    assert only_the_line(found) == (
        "the gradient of linear with respect to its input 1 needs its input 0 as it was, and the "
        "float64 (4, 3) has changed since; change it after backward, or a copy; in "
        "Linear(3, 2, bias=True), called in HERE, line N: "
        "found = message(backward_after(lambda: x.fill(2), lambda: layer(x)), RuntimeError)"
    )


def test_a_step_between_forward_and_backward_is_found() -> None:
    model = mg.Sequential(mg.Linear(3, 4), mg.Tanh(), mg.Linear(4, 1))
    optimizer = mg.SGD(model.parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad = np.ones(parameter.shape)
    call = backward_after(optimizer.step, lambda: model(np.ones((2, 3))))
    assert "matmul with respect to its input 0 needs its input 1" in message(call, RuntimeError)


def test_only_arrays_that_a_rule_needs_matter() -> None:
    x, y = np.ones(3), mg.Tensor(np.ones(3), requires_grad=True)
    with mg.detect_anomaly():
        backward_after(lambda: x.fill(7), lambda: y + x)()  # a sum needs neither
    assert y.grad is not None
    call = backward_after(lambda: x.fill(8), lambda: y * x)
    assert "needs its input 1" in message(call, RuntimeError)


def test_arrays_are_found_wherever_a_rule_may_keep_them() -> None:
    kept = np.ones(3)

    def in_default(x: Any) -> Any:
        def rule(g: Any, factor: Any = kept) -> Any:
            return g * factor

        return x * kept, (rule,)

    def in_keyword(x: Any) -> Any:
        def rule(g: Any, *, factor: Any = kept) -> Any:
            return g * factor

        return x * kept, (rule,)

    def in_partial(x: Any) -> Any:
        return x * kept, (functools.partial(np.multiply, kept),)

    def in_containers(x: Any) -> Any:
        held = {"a": [(kept,)]}
        return x * kept, (lambda g: g * held["a"][0][0],)

    def in_another_function(x: Any) -> Any:
        factor = kept

        def twice(g: Any) -> Any:
            return g * factor if g.ndim else twice(g)

        return x * factor, (lambda g: twice(g),)

    def in_itself(x: Any) -> Any:
        held: list[Any] = [kept]
        held.append(held)
        return x * kept, (lambda g: g * held[0],)

    def in_value(x: Any) -> Any:
        value = kept[:]
        return value, (lambda g: g * value,)

    def in_method(x: Any) -> Any:
        return x * kept, (kept.__mul__,)

    ways = [in_default, in_keyword, in_partial, in_containers, in_another_function, in_itself]
    for op in [*ways, in_method]:
        call = backward_after(lambda: kept.__iadd__(1), functools.partial(mg.apply, op, NUMBER))
        assert "needs an array as it was" in message(call, RuntimeError), op
    call = backward_after(lambda: kept.__iadd__(1), lambda: mg.apply(in_value, NUMBER))
    assert "needs its value as it was" in message(call, RuntimeError)


def test_a_variable_that_a_rule_has_not_assigned_yet_holds_nothing() -> None:
    def op(x: Any) -> Any:
        if x.ndim == 7:
            later = x

        def rule(g: Any) -> Any:
            return g * 2 if g.ndim else later

        return x * 2, (rule,)

    x = mg.Tensor([1.0], requires_grad=True)
    with mg.detect_anomaly():
        mg.apply(op, x).backward()
    assert x.grad == 2


# What it leaves alone


def gradients(values: list[mg.Tensor], leaves: list[mg.Tensor]) -> list[Any]:
    """Go back twice through the same graph; return values and gradients."""
    loss = sum((y * y).sum() for y in values)
    assert isinstance(loss, mg.Tensor)
    loss.backward(retain_graph=True)
    loss.backward()
    return [x.data for x in values] + [x.grad for x in leaves]


@each_case
def test_ops_give_the_same_and_raise_no_false_alarm(row: OpRow, inputs: Inputs) -> None:
    results = []
    for context in (mg.detect_anomaly(), contextlib.nullcontext()):
        tensors = [mg.Tensor(x, requires_grad=True) for x in inputs]
        with context:
            results.append(gradients([row.call(*tensors)], tensors))
    for watched, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(watched, expected)


@each()
def test_layers_give_the_same_and_raise_no_false_alarm(row: Row) -> None:
    results = []
    for context in (mg.detect_anomaly(), contextlib.nullcontext()):
        layer = stirred(row, training=True)
        is_float = row.x.dtype.kind == "f"
        x = mg.Tensor(row.x.copy(), requires_grad=is_float)
        with context:
            leaves = [*layer.parameters(), *[x] * is_float]
            results.append(gradients(outputs(layer, x), leaves))
    for watched, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(watched, expected)


def test_nothing_is_looked_at_outside_nor_in_other_threads() -> None:
    before = tensor.result_of
    results: list[Any] = []

    def other() -> None:
        results.append(np.sqrt(NUMBER).data[1])

    with mg.detect_anomaly():
        assert tensor.result_of is not before
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert np.isnan(results[0])
    assert tensor.result_of is before
    assert np.isnan(np.sqrt(NUMBER).data[1])
    message(lambda: np.sqrt(NUMBER))
    assert tensor.result_of is before


def test_contexts_can_be_nested() -> None:
    with mg.detect_anomaly():
        with mg.detect_anomaly():
            (NUMBER * 2).sum().backward()
        with pytest.raises(FloatingPointError):
            np.sqrt(NUMBER)
