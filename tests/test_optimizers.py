"""Optimizers: the update of each rule, and what they accept, keep and refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

# 12 steps on f(w) = sum(w**4 / 4 - w**2 + 0.3 w + sin(3 w)), from w = [0.7, -1.3, 2.1]; every row
# is the parameter after steps 1, 2, 6 and 12 by torch.optim.SGD of PyTorch 2.13 in float64.
TORCH: list[tuple[dict[str, Any], list[list[float]]]] = [
    (
        {"lr": 0.05},
        [
            [0.8135769156899785, -1.2262601543699791, 1.6819712045424877],
            [0.9676519754776964, -1.1428162733547411, 1.548144897127574],
            [1.4705210367236807, -0.8224416803533369, 1.4973767132172016],
            [1.4968167729649737, -0.6888502572956625, 1.4968498506844237],
        ],
    ),
    (
        {"lr": 0.05, "momentum": 0.9},
        [
            [0.8135769156899785, -1.2262601543699791, 1.6819712045424877],
            [1.0698711995986772, -1.0764504122877223, 1.1719189812158128],
            [1.6876683712927332, -0.3234820734646011, 1.0351935459113746],
            [1.7580281812386547, -0.9556279705385445, 1.1438317869477044],
        ],
    ),
    (
        {"lr": 0.02, "momentum": 0.8, "nesterov": True},
        [
            [0.7817753792967845, -1.2469073111463849, 1.7990192672705911],
            [0.9146711532950528, -1.169626027802165, 1.53282329129682],
            [1.6291268094751963, -0.7278485187108813, 1.3565170558944335],
            [1.466791545286151, -0.6164685774857462, 1.524248210897019],
        ],
    ),
    (
        {"lr": 0.05, "weight_decay": 0.1},
        [
            [0.8100769156899785, -1.219760154369979, 1.6714712045424878],
            [0.9590756177493257, -1.1295536453837625, 1.537153749419895],
            [1.457438653801817, -0.7997488412793213, 1.486324400202286],
            [1.4857379458490272, -0.6779420133554205, 1.4857760985095743],
        ],
    ),
    (
        {"lr": 0.03, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2},
        [
            [0.8214976838865755, -1.2011165759817761, 1.599507173178436],
            [1.0421554687343988, -1.0474330180233389, 1.2851818285673895],
            [1.6456770682321764, -0.4532772389242316, 1.4130546774921589],
            [1.4662272663231406, -0.7245603271621777, 1.4581160680814254],
        ],
    ),
]


def objective(w: mg.Tensor) -> mg.Tensor:
    return (w**4 / 4 - w**2 + 0.3 * w + (3 * w).sin()).sum()


def leaf(data: Any = (1.0, 2.0)) -> mg.Tensor:
    return mg.Tensor(data, requires_grad=True)


def test_a_step_moves_against_the_gradient() -> None:
    w = leaf()
    (w * w).sum().backward()
    optimizer = mg.SGD([w], lr=0.25)
    optimizer.step()
    assert w.data.tolist() == [0.5, 1]
    optimizer.lr = 0.5
    optimizer.step()
    assert w.data.tolist() == [-0.5, -1]
    assert optimizer.lr == 0.5


@pytest.mark.parametrize(("settings", "expected"), TORCH, ids=[str(s) for s, _ in TORCH])
def test_trajectories_equal_pytorchs(settings: dict[str, Any], expected: Any) -> None:
    w = leaf([0.7, -1.3, 2.1])
    optimizer = mg.SGD([w], **settings)
    seen = []
    for step in range(1, 13):
        optimizer.zero_grad()
        objective(w).backward()
        optimizer.step()
        if step in (1, 2, 6, 12):
            seen.append(w.numpy())
    np.testing.assert_allclose(seen, expected, rtol=1e-10)


def test_gradients_are_left_as_they_are() -> None:
    w = leaf()
    (w * w).sum().backward()
    for weight_decay in (0, 0.5):
        for nesterov in (False, True):
            optimizer = mg.SGD([w], 0.1, 0.9, nesterov, weight_decay)
            for _ in range(3):
                optimizer.step()
            assert w.grad is not None
            assert w.grad.tolist() == [2, 4]


def test_two_parameters_added_together_decay_once_each() -> None:
    a, b = leaf(), leaf()
    (a + b).sum().backward()
    mg.SGD([a, b], lr=1, weight_decay=0.5).step()
    assert a.data.tolist() == b.data.tolist() == [-0.5, 0]


def test_parameters_without_gradient_are_left_alone() -> None:
    a, b = leaf(), leaf()
    (a * 2).sum().backward()
    optimizer = mg.SGD([a, b], lr=1, momentum=0.5, weight_decay=0.5)
    optimizer.step()
    assert b.data.tolist() == [1, 2]
    assert optimizer.state[1] == {}
    optimizer.zero_grad()
    assert a.grad is None


def test_float32_parameters_stay_float32() -> None:
    w = mg.Tensor([1.0, 2.0], requires_grad=True, dtype=np.float32)
    optimizer = mg.SGD([w], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    assert w.dtype == np.float32
    assert optimizer.state[0]["velocity"].dtype == np.float32


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: mg.SGD([], lr=1), ValueError, "at least one parameter; received none"),
    (lambda: mg.SGD([leaf(), 3], lr=1), TypeError, "must be tensors; number 1 is int"),
    (lambda: mg.SGD(leaf(), lr=1), TypeError, r"received one tensor: write \[tensor\]"),
    (lambda: mg.SGD([leaf() * 2], lr=1), ValueError, "parameter 0 is the value of an op"),
    (lambda: mg.SGD([mg.Tensor([1.0])], lr=1), ValueError, "parameter 0 requires no gradient"),
    (lambda: mg.SGD([leaf()] * 2, lr=1), ValueError, "passed twice"),
    (lambda: mg.SGD([leaf()], lr=-1), ValueError, "lr must be a finite number, at least 0"),
    (lambda: mg.SGD([leaf()], lr=float("nan")), ValueError, "lr must be a finite number"),
    (lambda: mg.SGD([leaf()], lr=float("inf")), ValueError, "lr must be a finite number"),
    (lambda: mg.SGD([leaf()], lr="1"), TypeError, "must be real number"),  # type: ignore[arg-type]
    (lambda: mg.SGD([leaf()], 1, momentum=-0.1), ValueError, "momentum must be a finite number"),
    (lambda: mg.SGD([leaf()], 1, momentum=1), ValueError, "momentum must be below 1; received 1"),
    (lambda: mg.SGD([leaf()], 1, weight_decay=-1), ValueError, "weight_decay must be"),
    (lambda: mg.SGD([leaf()], 1, nesterov=True), ValueError, "nesterov needs momentum"),
    (lambda: mg.SGD([leaf()], 1, moment=0.9), TypeError, "moment"),  # type: ignore[call-arg]
    (lambda: setattr(mg.SGD([leaf()], 1), "lr", -2), ValueError, "lr must be"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_what_cannot_be_optimized_is_refused(call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_used_generator_is_refused() -> None:
    parameters = (p for p in [leaf()])
    mg.SGD(parameters, lr=1)
    with pytest.raises(ValueError, match="a generator gives its items only once"):
        mg.SGD(parameters, lr=1)


def test_an_optimizer_without_a_rule_says_so() -> None:
    w = leaf()
    w.sum().backward()
    with pytest.raises(NotImplementedError, match="Optimizer must define update"):
        mg.Optimizer([w], lr=1).step()


def descend(w: mg.Tensor, optimizer: mg.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        objective(w).backward()
        optimizer.step()


def test_a_restored_optimizer_goes_on_as_if_never_stopped() -> None:
    settings = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
    w = leaf([0.7, -1.3])
    optimizer = mg.SGD([w], **settings)  # type: ignore[arg-type]
    descend(w, optimizer, 5)
    state, values = optimizer.state_dict(), w.numpy()
    descend(w, optimizer, 5)
    again = leaf(values)
    restored = mg.SGD([again], lr=1.0, momentum=0.1)
    restored.load_state_dict(state)
    assert restored.state_dict()["lr"] == 0.05
    descend(again, restored, 5)
    assert np.array_equal(again.data, w.data)


class Counting(mg.Optimizer):
    """A rule with a setting of its own and a count."""

    def __init__(self, params: Any, rate: float, lr: float = 1.0) -> None:
        super().__init__(params, lr)
        self.rate = rate

    def update(self, parameter: Any, g: Any, state: dict[str, Any]) -> None:
        state["count"] = state.get("count", 0) + 1
        parameter -= self.rate * g / state["count"]


def test_settings_and_counts_of_a_users_rule_are_saved() -> None:
    w = leaf()
    optimizer = Counting([w], rate=0.5)
    descend(w, optimizer, 3)
    state = optimizer.state_dict()
    assert state == {"rate": 0.5, "lr": 1.0, "state": [{"count": 3}]}
    again = Counting([w], rate=0.1)
    w.requires_grad = False  # a frozen parameter is no reason to lose the state
    again.load_state_dict(state)
    assert again.state_dict() == state


def test_a_parameter_of_one_number_is_trained_in_place() -> None:
    w = leaf(2.0)
    own = w.data
    optimizer = mg.SGD([w], lr=0.1, momentum=0.5, weight_decay=0.1)
    expected, velocity = 2.0, None
    for _ in range(3):
        g = 2 * expected + 0.1 * expected
        velocity = g if velocity is None else 0.5 * velocity + g
        expected -= 0.1 * velocity
        optimizer.zero_grad()
        (w * w).backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
    assert w.data is own
    assert w.item() == pytest.approx(expected, rel=1e-14)


def test_a_learning_rate_may_be_a_numpy_number_and_velocities_integers() -> None:
    w = leaf()
    optimizer = mg.SGD([w], lr=np.array(0.1), momentum=np.float32(0.5))  # type: ignore[arg-type]
    assert type(optimizer.lr) is float
    optimizer.load_state_dict({**optimizer.state_dict(), "state": [{"velocity": [0, 0]}]})
    descend(w, optimizer, 2)
    assert optimizer.state[0]["velocity"].dtype == np.float64


def test_state_dict_is_a_copy() -> None:
    w = leaf()
    optimizer = mg.SGD([w], lr=0.1, momentum=0.9)
    descend(w, optimizer, 1)
    state = optimizer.state_dict()
    assert sorted(state) == ["lr", "momentum", "nesterov", "state", "weight_decay"]
    optimizer.load_state_dict(state)
    state["state"][0]["velocity"][:] = 7
    assert 7 not in optimizer.state[0]["velocity"]


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    w = leaf()
    optimizer = mg.SGD([w], lr=0.1, momentum=0.9)
    descend(w, optimizer, 1)
    good = optimizer.state_dict()
    bad: list[tuple[Any, str]] = [
        ({"lr": 1.0, "state": []}, "must have the keys"),
        ({**good, "beta": 0.9}, "must have the keys"),
        ({**good, "state": []}, "of 0 parameters, not of 1"),
        (
            {**good, "state": [{"velocity": np.ones(3)}]},
            "velocity of parameter 0 must be numbers of shape",
        ),
        ({**good, "state": [{"velocity": "text"}]}, "must be numbers of shape"),
        ({**good, "lr": -1.0}, "lr must be a finite number"),
        ({**good, "momentum": 2.0}, "momentum must be below 1"),
    ]
    for state, message in bad:
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(state)
        assert repr(optimizer.state_dict()) == repr(good)
