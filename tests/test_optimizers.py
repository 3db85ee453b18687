"""Optimizers: the update of each rule, and what they accept, keep and refuse."""

import inspect
import json
import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import optimizers
from micrograd_np.ops.common import number

# 20 steps on f(w) = sum(w**4 / 4 - w**2 + 0.3 w + sin(3 w)), from w = [0.7, -1.3, 2.1]; every row
# is the parameter after steps 1, 2, 10 and 20 by torch.optim of PyTorch 2.13 in float64.
TORCH: list[tuple[str, dict[str, Any], list[list[float]]]] = [
    (
        "SGD",
        {"lr": 0.05},
        [
            [0.8135769156899785, -1.2262601543699791, 1.6819712045424877],
            [0.9676519754776964, -1.1428162733547411, 1.548144897127574],
            [1.496541979933765, -0.7042841505185445, 1.4968551059617303],
            [1.4968492262505788, -0.6787771889345701, 1.496849230362341],
        ],
    ),
    (
        "SGD",
        {"lr": 0.05, "momentum": 0.9},
        [
            [0.8135769156899785, -1.2262601543699791, 1.6819712045424877],
            [1.0698711995986772, -1.0764504122877223, 1.1719189812158128],
            [1.2312533586446779, -0.9079852205862845, 1.7364217701776121],
            [1.706264200792066, -0.7739079556838676, 1.2463942275815796],
        ],
    ),
    (
        "SGD",
        {"lr": 0.02, "momentum": 0.8, "nesterov": True},
        [
            [0.7817753792967845, -1.2469073111463849, 1.7990192672705911],
            [0.9146711532950528, -1.169626027802165, 1.53282329129682],
            [1.5198574242125629, -0.5740180408680465, 1.5360233859386698],
            [1.5017493419043693, -0.692812149518326, 1.4967206870927083],
        ],
    ),
    (
        "SGD",
        {"lr": 0.05, "weight_decay": 0.1},
        [
            [0.8100769156899785, -1.219760154369979, 1.6714712045424878],
            [0.9590756177493257, -1.1295536453837625, 1.537153749419895],
            [1.4854282784772095, -0.6911276596780465, 1.4857817915362017],
            [1.485775405114913, -0.6697346553062321, 1.4857754102801353],
        ],
    ),
    (
        "SGD",
        {"lr": 0.03, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2},
        [
            [0.8214976838865755, -1.2011165759817761, 1.599507173178436],
            [1.0421554687343988, -1.0474330180233389, 1.2851818285673895],
            [1.4231246157480641, -0.6533318487455944, 1.5073749175566242],
            [1.4725766772050366, -0.6428327379313931, 1.4750958280226398],
        ],
    ),
    (
        "RMSprop",
        {},
        [
            [0.7999999955976971, -1.2000000067805943, 2.00000000119609],
            [0.8798718166425462, -1.1239563256557814, 1.9346577887219976],
            [1.2406863551340983, -0.8145328011965137, 1.6901668840430677],
            [1.4141108121088095, -0.7062115711438688, 1.5769251431509337],
        ],
    ),
    (
        "RMSprop",
        {"lr": 0.02, "alpha": 0.9, "eps": 0.001},
        [
            [0.7631576295439854, -1.2368897685303568, 2.036778359548985],
            [0.8129424285675632, -1.188774467142313, 1.9929406844687894],
            [1.0762276502192794, -0.9464136360582489, 1.7908456245368347],
            [1.2855870475255844, -0.775915967172887, 1.6428591475359773],
        ],
    ),
    (
        "RMSprop",
        {"lr": 0.02, "alpha": 0.8, "centered": True},
        [
            [0.7499999994497121, -1.2500000008475745, 2.0500000001495113],
            [0.7943659293766734, -1.2067312182637646, 2.009689721528511],
            [1.2080033781790522, -0.8313826865668789, 1.708800809023942],
            [1.48090388622798, -0.6838280064694545, 1.52959963616443],
        ],
    ),
    (
        "RMSprop",
        {"lr": 0.005, "alpha": 0.9, "momentum": 0.9, "weight_decay": 0.1},
        [
            [0.7158113880737279, -1.284188612010724, 2.0841886117574973],
            [0.7418128381115842, -1.2583345435766524, 2.0586026575538545],
            [1.1295333595727495, -0.8903463051536833, 1.7266746789128868],
            [1.607517263053305, -0.5255122453398607, 1.3968645734651064],
        ],
    ),
    (
        "RMSprop",
        {"lr": 0.003, "momentum": 0.8, "weight_decay": 0.2, "centered": True},
        [
            [0.7301511330361257, -1.2698488672890005, 2.069848865887338],
            [0.7768414013035936, -1.2237569851740735, 2.024681483100048],
            [1.2977086232696846, -0.7525311816362161, 1.621047230291808],
            [1.5530099523623373, -0.5933419163911405, 1.4395042966219995],
        ],
    ),
    (
        "Adagrad",
        {},
        [
            [0.7099999999995598, -1.2900000000006782, 2.0900000000001198],
            [0.7171954279631284, -1.2828567074401844, 2.082976561579269],
            [0.7518092247358794, -1.2488802327585853, 2.050463752679833],
            [0.7794180730448621, -1.222113358997993, 2.025635506675726],
        ],
    ),
    (
        "Adagrad",
        {"lr": 0.3, "lr_decay": 0.05},
        [
            [0.999999999986793, -1.000000000020342, 1.8000000000035883],
            [1.2429433420391947, -0.7858425360393883, 1.6660846212515452],
            [1.4966035694102617, -0.6785248421552027, 1.50345494269855],
            [1.496848547674658, -0.6785229529707294, 1.497283379502188],
        ],
    ),
    (
        "Adagrad",
        {"lr": 0.5, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 0.01},
        [
            [1.1739978005662433, -0.8450415585499989, 1.602271862904105],
            [1.573660314600659, -0.5700284568147971, 1.5080533570716874],
            [1.4875028178196215, -0.6672346594819376, 1.485775602787467],
            [1.4857860894577595, -0.6695322854079646, 1.485775410187051],
        ],
    ),
    (
        "Adam",
        {},
        [
            [0.7009999999955977, -1.2990000000067807, 2.099000000001196],
            [0.7020000932852932, -1.2979999455909768, 2.098000034807686],
            [0.7100113374894862, -1.2899933924586575, 2.0900043346624604],
            [0.7200817045827638, -1.279952483456014, 2.0800322040296892],
        ],
    ),
    (
        "Adam",
        {"lr": 0.1, "betas": (0.8, 0.9), "eps": 0.001},
        [
            [0.799955996341451, -1.2000677600008147, 2.000011959468058],
            [0.8997882672783513, -1.0999734738740599, 1.9007576917679136],
            [1.6217047249923369, -0.5332134906977567, 1.3442796398712806],
            [1.4249554866971554, -0.7100138716527498, 1.5532251751604256],
        ],
    ),
    (
        "Adam",
        {"lr": 0.1, "weight_decay": 0.2},
        [
            [0.7999999995308552, -1.2000000005764364, 2.000000000113888],
            [0.8997351189142105, -1.0998677029677895, 1.900649307187165],
            [1.6323062548407674, -0.46342627562183153, 1.2883605306773245],
            [1.4413428252598588, -0.7377235515763297, 1.356324458781515],
        ],
    ),
    (
        "Adam",
        {"lr": 0.2, "betas": (0.5, 0.6), "amsgrad": True},
        [
            [0.8999999991195393, -1.1000000013561189, 1.9000000002392181],
            [1.0996243476398018, -0.8992642905490094, 1.706102135352969],
            [1.4750814232777847, -0.6870088555132497, 1.493499374275911],
            [1.496367271693181, -0.6780096517674106, 1.4962612195382552],
        ],
    ),
    (
        "Adam",
        {"lr": 0.1, "betas": (0.7, 0.6), "weight_decay": 0.3, "amsgrad": True},
        [
            [0.7999999995149253, -1.2000000005362514, 2.0000000001112275],
            [0.8980770276850462, -1.100525734304812, 1.8997132055354995],
            [1.52687820340837, -0.5758802714399044, 1.4304674471700227],
            [1.4472130272349488, -0.6672253007186022, 1.4502948058948268],
        ],
    ),
    (
        "AdamW",
        {},
        [
            [0.7009929999955977, -1.2989870000067807, 2.0989790000011963],
            [0.7019860827156138, -1.2979739550229024, 2.0979580457543023],
            [0.7099408136835692, -1.289863765442796, 2.0897948863623443],
            [0.7199392706998636, -1.27969383048182, 2.07961483437998],
        ],
    ),
    (
        "AdamW",
        {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.5},
        [
            [0.7649999995597696, -1.1350000006780594, 1.8950000001196088],
            [0.826843575673726, -0.9781464086063325, 1.7029333755388896],
            [1.2293480074440388, -0.5325640997800133, 1.0778448344040175],
            [1.417774307185624, -0.6543680323902775, 1.301961490323538],
        ],
    ),
    (
        "AdamW",
        {"lr": 0.2, "betas": (0.5, 0.6), "weight_decay": 0.1, "eps": 0.0001, "amsgrad": True},
        [
            [0.8859911957815297, -1.074013560269758, 1.858002392151091],
            [1.06801103904311, -0.8518067699992011, 1.630110574164515],
            [1.4467171999058943, -0.6698267214760295, 1.4368190355569197],
            [1.4635527246092799, -0.6662140462809727, 1.4378946179548164],
        ],
    ),
]


SETTINGS = pytest.mark.parametrize(
    ("kind", "settings"),
    [(getattr(optimizers, name), settings) for name, settings, _ in TORCH],
    ids=[f"{name} {settings}" for name, settings, _ in TORCH],
)
KINDS: list[Any] = [
    kind
    for kind in vars(optimizers).values()
    if isinstance(kind, type) and issubclass(kind, mg.Optimizer) and kind is not mg.Optimizer
]
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


def objective(w: mg.Tensor) -> mg.Tensor:
    return (w**4 / 4 - w**2 + 0.3 * w + (3 * w).sin()).sum()


def leaf(data: Any = (1.0, 2.0), dtype: Any = None) -> mg.Tensor:
    return mg.Tensor(data, requires_grad=True, dtype=dtype)


def descend(optimizer: mg.Optimizer, steps: int = 1) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        for w in optimizer.parameters:
            if w.requires_grad:
                objective(w).backward()
        optimizer.step()


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


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    TORCH,
    ids=[f"{name} {settings}" for name, settings, _ in TORCH],
)
def test_trajectories_equal_pytorchs(name: str, settings: dict[str, Any], expected: Any) -> None:
    w = leaf([0.7, -1.3, 2.1])
    optimizer = getattr(optimizers, name)([w], **settings)
    seen = []
    for steps in (1, 1, 8, 10):
        descend(optimizer, steps)
        seen.append(w.numpy())
    np.testing.assert_allclose(seen, expected, rtol=1e-10)


def test_every_setting_of_every_optimizer_has_a_trajectory() -> None:
    assert {kind.__name__ for kind in KINDS} == {name for name, _, _ in TORCH}
    for kind in KINDS:
        tried = {key for name, settings, _ in TORCH if name == kind.__name__ for key in settings}
        assert {"parameters"} | tried == set(inspect.signature(kind).parameters), kind


@SETTINGS
def test_gradients_are_left_as_they_are(kind: Any, settings: dict[str, Any]) -> None:
    w = leaf()
    w.grad = np.array([2.0, -3.0])
    assert w.grad is not None
    w.grad.setflags(write=False)
    optimizer = kind([w], **settings)
    for _ in range(3):
        optimizer.step()
    assert w.grad.tolist() == [2, -3]


@SETTINGS
def test_float32_parameters_stay_float32(kind: Any, settings: dict[str, Any]) -> None:
    single, double = leaf([0.7, -1.3, 2.1], np.float32), leaf([0.7, -1.3, 2.1])
    one, other = kind([single], **settings), kind([double], **settings)
    descend(one, 5)
    descend(other, 5)
    assert single.dtype == np.float32
    arrays = [held for held in one.state[0].values() if not isinstance(held, int)]
    assert all(held.dtype == np.float32 for held in arrays)
    np.testing.assert_allclose(single.data, double.data, rtol=1e-4)


@SETTINGS
def test_a_parameter_of_one_number_is_trained_in_place(kind: Any, settings: Any) -> None:
    w, same, empty = leaf(2.0), leaf([2.0]), leaf(np.zeros((0, 3)))
    own = w.data
    optimizer, other = kind([w, empty], **settings), kind([same], **settings)
    for _ in range(4):
        descend(optimizer)
        descend(other)
        optimizer.load_state_dict(optimizer.state_dict())
    assert w.data is own
    assert own == same.data[0] != 2


@SETTINGS
def test_parameters_without_gradient_are_left_alone(kind: Any, settings: dict[str, Any]) -> None:
    a, b, c = leaf(), leaf(), leaf()
    optimizer = kind([a, b], **settings)
    (a * 2).sum().backward()
    optimizer.step()
    assert b.data.tolist() == [1, 2]
    assert optimizer.state[1] == {}
    b.grad = a.grad
    optimizer.step()
    assert b.data.tolist() != [1, 2]
    # Its first step is a first step, whatever was done to the others before.
    c.grad = a.grad
    kind([c], **settings).step()
    assert np.array_equal(b.data, c.data)
    optimizer.zero_grad()
    assert a.grad is b.grad is None


def test_two_parameters_added_together_decay_once_each() -> None:
    a, b = leaf(), leaf()
    (a + b).sum().backward()
    mg.SGD([a, b], lr=1, weight_decay=0.5).step()
    assert a.data.tolist() == b.data.tolist() == [-0.5, 0]


def test_a_constant_gradient_has_no_variance_below_zero() -> None:
    w = leaf([1.0, 2.0], np.float32)
    optimizer = optimizers.RMSprop([w], lr=1e-9, alpha=0.5, centered=True)
    w.grad = np.array([0.3, 123.4])
    for _ in range(200):
        optimizer.step()
    assert np.isfinite(w.data).all()


def test_what_changes_with_every_step_is_not_cached() -> None:
    common: dict[str, Any] = {"lr": 0.0123, "weight_decay": 0.0321}
    for kind in (optimizers.Adam, optimizers.AdamW, optimizers.Adagrad):
        optimizer = kind([leaf()], **common)
        descend(optimizer, 2)
        before = number.cache_info().misses
        descend(optimizer, 20)
        assert number.cache_info().misses == before


def test_adamw_shrinks_weights_that_have_no_gradient_and_adam_does_not_overshoot() -> None:
    w, v = leaf([8.0]), leaf([8.0])
    w.grad = v.grad = np.zeros(1)
    optimizers.AdamW([w], lr=0.5, weight_decay=0.25).step()
    assert w.data.tolist() == [7.0]
    optimizers.Adam([v], lr=0.5, weight_decay=0.25).step()
    assert abs(v.item() - 7.5) < 1e-6


PARAMETERS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (list, ValueError, "at least one parameter; received none"),
    (lambda: [leaf(), 3], TypeError, "must be tensors; number 1 is int"),
    (lambda: [leaf(), {"params": [leaf()]}], TypeError, "must be tensors; number 1 is dict"),
    (lambda: {"params": [leaf()]}, TypeError, "must be tensors; number 0 is str"),
    (leaf, TypeError, r"received one tensor: write \[tensor\]"),
    (lambda: mg.Linear(3, 1).parameters, TypeError, "received a function: call it, as in model"),
    (lambda: [leaf() * 2], ValueError, "parameter 0 is the value of an op"),
    (lambda: [leaf(), mg.Tensor([1.0])], ValueError, "parameter 1 requires no gradient"),
    (lambda: [leaf()] * 2, ValueError, "passed twice"),
    (lambda: [{"params": [leaf()]}, {"params": []}], ValueError, "at least one parameter"),
    (lambda: [{"params": leaf()}], TypeError, r"received one tensor: write \[tensor\]"),
    (lambda: [{"params": [3]}], TypeError, "must be tensors; number 0 is int"),
    (lambda: [{"params": [w]} for w in [leaf()] * 2], ValueError, "passed twice"),
    (lambda: [{"lr": 0.1}], ValueError, r"under \"params\"; group 0 has \['lr'\]"),
    (lambda: [{"params": [leaf()], "rate": 0.1}], ValueError, r"can set .*'lr'.*, not \['rate'\]"),
    (lambda: [{"params": [leaf()], "parameters": 1}], ValueError, r"not \['parameters'\]"),
    (lambda: [{"params": [leaf()], "lr": -1}], ValueError, "lr must be a finite number"),
]  # fmt: skip


@EACH_KIND
@pytest.mark.parametrize(("parameters", "error", "message"), PARAMETERS)
def test_what_cannot_be_trained_is_refused(
    kind: Any, parameters: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        kind(parameters(), lr=1)


@EACH_KIND
def test_settings_of_groups_are_checked_like_those_of_all(kind: Any) -> None:
    for name in inspect.signature(kind).parameters.keys() & {"weight_decay", "eps", "momentum"}:
        with pytest.raises(ValueError, match=f"{name} must be"):
            kind([{"params": [leaf()], name: -1}], lr=1)


@EACH_KIND
def test_a_used_generator_is_refused(kind: Any) -> None:
    parameters = (p for p in [leaf()])
    kind(parameters, lr=1)
    with pytest.raises(ValueError, match="a generator gives its items only once"):
        kind(parameters, lr=1)


AT_LEAST_ZERO = "must be a finite number, at least 0"
BELOW_ONE = "must be at least 0 and below 1"
RANGES: dict[str, list[tuple[Any, str]]] = {
    "lr": [(-1, AT_LEAST_ZERO), (float("nan"), AT_LEAST_ZERO), (float("inf"), AT_LEAST_ZERO)],
    "momentum": [(-0.1, BELOW_ONE), (1, "momentum must be at least 0 and below 1; received 1")],
    "nesterov": [(True, "nesterov needs momentum")],
    "weight_decay": [(-1, AT_LEAST_ZERO), (float("nan"), AT_LEAST_ZERO)],
    "alpha": [(-0.1, BELOW_ONE), (1.0, "alpha must be at least 0 and below 1")],
    "eps": [(-1e-8, AT_LEAST_ZERO)],
    "lr_decay": [(-1, AT_LEAST_ZERO)],
    "initial_accumulator_value": [(-1, AT_LEAST_ZERO)],
    "betas": [
        ((-0.1, 0.9), r"betas\[0\] must be at least 0 and below 1"),
        ((0.9, 1.0), r"betas\[1\] must be at least 0 and below 1"),
        ((float("nan"), 0.9), r"betas\[0\] must be at least 0 and below 1"),
        ((0.9,), r"betas must be two numbers as \(0.9, 0.999\); received \(0.9,\)"),
        (0.9, "betas must be two numbers"),
    ],
}


@EACH_KIND
def test_settings_out_of_range_are_refused(kind: Any) -> None:
    for name, parameter in list(inspect.signature(kind).parameters.items())[1:]:
        assert name in RANGES or parameter.default is False, name
        for value, message in RANGES.get(name, []):
            settings = {"lr": 0.1, name: value}
            with pytest.raises(ValueError, match=message):
                kind([leaf()], **settings)
            with pytest.raises(ValueError, match=message):
                kind([{"params": [leaf()], **settings}], lr=0.1)
    with pytest.raises(TypeError, match="must be a number; received"):
        kind([leaf()], lr="1")
    with pytest.raises(TypeError, match="moment"):
        kind([leaf()], lr=1, moment=0.9)
    with pytest.raises(ValueError, match="lr must be"):
        kind([leaf()], lr=1).lr = -2


def test_an_optimizer_without_a_rule_says_so() -> None:
    w = leaf()
    w.sum().backward()
    with pytest.raises(NotImplementedError, match="Optimizer must define update"):
        mg.Optimizer([w], lr=1).step()


# As above from v = [0.7, -1.3] and w = [2.1], which have groups of their own: the common settings,
# those of v, those of w. After 10 steps the learning rates are halved.
TORCH_GROUPS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], Any]] = [
    (
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
        {},
        {"lr": 0.01, "weight_decay": 0.0},
        [
            [0.8100769156899785, -1.219760154369979, 2.0163942409084976],
            [1.0581448418703066, -1.0573377843167435, 1.86731108034139],
            [1.216673562958557, -0.9227227069197267, 1.0697478220449421],
            [1.3048407910257227, -0.5303401863634405, 1.6578362904410218],
        ],
    ),
    (
        "AdamW",
        {"lr": 0.1, "betas": (0.8, 0.9)},
        {"weight_decay": 0.3, "betas": (0.5, 0.9)},
        {"lr": 0.3, "amsgrad": True},
        [
            [0.7789999995597696, -1.1610000006780594, 1.793700000358827],
            [0.8581827463048919, -1.024046129646283, 1.5080549470385847],
            [1.38060142650666, -0.655857748105106, 1.6058942658988717],
            [1.4375223154520878, -0.6660795419093946, 1.4425344938220206],
        ],
    ),
]


@pytest.mark.parametrize(("name", "common", "of_v", "of_w", "expected"), TORCH_GROUPS)
def test_groups_take_the_way_of_pytorchs(
    name: str, common: Any, of_v: Any, of_w: Any, expected: Any
) -> None:
    v, w = leaf([0.7, -1.3]), leaf([2.1])
    groups = [{"params": [v], **of_v}, {"params": [w], **of_w}]
    optimizer = getattr(optimizers, name)(groups, **common)
    seen = []
    for steps in (1, 1, 8, 10):
        descend(optimizer, steps)
        seen.append([*v.data, *w.data])
        if len(seen) == 3:
            optimizer.lr = common["lr"] / 2
    np.testing.assert_allclose(seen, expected, rtol=1e-10)


@SETTINGS
def test_a_group_with_settings_is_an_optimizer_with_these(kind: Any, settings: Any) -> None:
    a, b, c = leaf([0.7, -1.3]), leaf([0.7, -1.3]), leaf([0.7, -1.3])
    plain = kind([a], lr=0.125)
    grouped = kind([{"params": iter([b]), **settings}, {"params": [c]}], lr=0.125)
    own = kind([d := leaf([0.7, -1.3])], **{"lr": 0.125, **settings})
    for optimizer in (plain, grouped, own):
        descend(optimizer, 4)
    assert np.array_equal(c.data, a.data)
    np.testing.assert_allclose(b.data, d.data, rtol=1e-14)


def test_groups_keep_the_ratio_of_their_learning_rates() -> None:
    v, w = leaf([1.0]), leaf([1.0])
    optimizer = mg.SGD([{"params": [v], "lr": 0.5}, {"params": [w]}], lr=0.25)
    assert [group["lr"] for group in optimizer.groups] == [0.5, 0.25]
    optimizer.lr = 0
    assert [group["lr"] for group in optimizer.groups] == [0, 0]
    optimizer.lr = 1
    assert [group["lr"] for group in optimizer.groups] == [2, 1]
    v.grad = w.grad = np.ones(1)
    optimizer.step()
    assert [v.item(), w.item()] == [-1, 0]
    with pytest.raises(ValueError, match="only where the optimizer's is above 0"):
        mg.SGD([{"params": [v], "lr": 0.5}], lr=0)


def test_a_group_shows_its_settings_and_cannot_be_set_past_the_checks() -> None:
    v, w = leaf(), leaf()
    optimizer = mg.SGD([{"params": [v]}, {"params": [w], "momentum": 0.5}], lr=1, weight_decay=0.1)
    shown = [dict(group) for group in optimizer.groups]
    assert shown[0].pop("params")[0] is v
    assert shown[1].pop("params")[0] is w
    common = {"lr": 1.0, "nesterov": False, "weight_decay": 0.1}
    assert shown == [{**common, "momentum": 0.0}, {**common, "momentum": 0.5}]
    with pytest.raises(TypeError):
        optimizer.groups[0]["lr"] = 3  # type: ignore[index]
    (only,) = mg.SGD([v, w], lr=1).groups
    assert len(only["params"]) == 2


def test_a_group_needs_settings_that_fit_together() -> None:
    groups = [{"params": [leaf()], "momentum": 0}]
    with pytest.raises(ValueError, match="nesterov needs momentum"):
        mg.SGD(groups, lr=1, momentum=0.9, nesterov=True)
    mg.SGD([{"params": [leaf()], "nesterov": True}], lr=1, momentum=0.9)


def test_settings_changed_between_steps_reach_the_groups_that_do_not_set_them() -> None:
    v, w = leaf([1.0]), leaf([1.0])
    optimizer = mg.SGD([{"params": [v], "lr": 0.5}, {"params": [w], "weight_decay": 0}], lr=1)
    optimizer.weight_decay = 0.5
    v.grad = w.grad = np.zeros(1)
    optimizer.step()
    assert [v.item(), w.item()] == [0.75, 1]


# Saving


@SETTINGS
def test_a_restored_optimizer_goes_on_as_if_never_stopped(kind: Any, settings: Any) -> None:
    w, v = leaf([0.7, -1.3]), leaf([2.1])
    optimizer = kind([{"params": [w], **settings}, {"params": [v]}], lr=0.05)
    descend(optimizer, 5)
    optimizer.lr = 0.02
    state, values = optimizer.state_dict(), (w.numpy(), v.numpy())
    copies = [deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    plain = json.loads(json.dumps(state, default=np.ndarray.tolist))
    for saved in (state, plain):
        restored = kind(
            [{"params": [leaf(values[0])]}, {"params": [leaf(values[1])], "lr": 3}], lr=2
        )
        restored.load_state_dict(saved)
        assert repr(restored.state_dict()) == repr(state)
        copies.append(restored)
    descend(optimizer, 5)
    for restored in copies:
        descend(restored, 5)
        assert np.array_equal(restored.parameters[0].data, w.data)
        assert np.array_equal(restored.parameters[1].data, v.data)
        assert repr(restored.state_dict()) == repr(optimizer.state_dict())


def test_settings_of_a_saved_group_are_judged_beside_those_saved_with_them() -> None:
    groups = [{"params": [leaf()], "nesterov": True}]
    state = mg.SGD(groups, lr=1, momentum=0.9).state_dict()
    restored = mg.SGD([leaf()], lr=1)
    restored.load_state_dict(state)
    assert restored.state_dict() == state
    with pytest.raises(ValueError, match="nesterov needs momentum"):
        restored.load_state_dict({**state, "momentum": 0})


def test_a_learning_rate_of_zero_loses_no_ratio_when_saved() -> None:
    optimizer = mg.SGD([{"params": [leaf()], "lr": 0.5}], lr=0.25)
    optimizer.lr = 0
    restored = mg.SGD([{"params": [leaf()]}], lr=1)
    restored.load_state_dict(optimizer.state_dict())
    restored.lr = 0.25
    assert restored.groups[0]["lr"] == 0.5


class Counting(mg.Optimizer):
    """A rule with a setting of its own and a count."""

    def __init__(self, params: Any, rate: float, lr: float = 1.0) -> None:
        self.rate = rate
        super().__init__(params, lr)

    def update(self, parameter: Any, g: Any, state: dict[str, Any]) -> None:
        state["count"] = state.get("count", 0) + 1
        parameter -= self.rate * g / state["count"]


def test_settings_and_counts_of_a_users_rule_are_saved() -> None:
    w = leaf()
    optimizer = Counting([{"params": [w], "rate": 0.5}], rate=0.3)
    descend(optimizer, 3)
    state = optimizer.state_dict()
    groups = [{"params": [0], "lr_ratio": 1.0, "settings": {"rate": 0.5}}]
    assert state == {"rate": 0.3, "lr": 1.0, "groups": groups, "state": [{"count": 3}]}
    again = Counting([w], rate=0.1)
    w.requires_grad = False  # a frozen parameter is no reason to lose the state
    again.load_state_dict(state)
    assert again.state_dict() == state


class Late(mg.Optimizer):
    """A rule whose constructor does things in the wrong order for groups."""

    def __init__(self, params: Any, rate: float, lr: float = 1.0) -> None:
        super().__init__(params, lr)
        self.rate = rate


def test_a_users_rule_that_keeps_its_settings_late_is_told_so_when_it_matters() -> None:
    assert Late([leaf()], rate=0.5).state_dict()["rate"] == 0.5
    with pytest.raises(AttributeError, match=r"'rate'; .* before it calls super"):
        Late([{"params": [leaf()], "rate": 0.1}], rate=0.5)


def test_a_learning_rate_may_be_a_numpy_number_and_velocities_integers() -> None:
    optimizer = mg.SGD([leaf()], lr=np.array(0.1), momentum=np.float32(0.5))  # type: ignore[arg-type]
    assert type(optimizer.lr) is type(optimizer.momentum) is float
    optimizer.load_state_dict({**optimizer.state_dict(), "state": [{"velocity": [0, 0]}]})
    descend(optimizer, 2)
    assert optimizer.state[0]["velocity"].dtype == np.float64


def test_state_dict_is_a_copy() -> None:
    optimizer = mg.SGD([{"params": [leaf()], "momentum": 0.9}], lr=0.1)
    descend(optimizer)
    state = optimizer.state_dict()
    assert sorted(state) == ["groups", "lr", "momentum", "nesterov", "state", "weight_decay"]
    optimizer.load_state_dict(state)
    good = repr(optimizer.state_dict())
    state["state"][0]["velocity"][:] = 7
    state["groups"][0]["settings"]["momentum"] = 7
    state["groups"][0]["params"].append(7)
    assert repr(optimizer.state_dict()) == good
    state = optimizer.state_dict()
    descend(optimizer)
    assert repr(state) == good


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    optimizer = mg.SGD([leaf()], lr=0.1, momentum=0.9)
    descend(optimizer)
    good = optimizer.state_dict()

    def group(**changed: Any) -> dict[str, Any]:
        return {**good, "lr": 0.7, "groups": [{**good["groups"][0], **changed}]}

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
        ({**good, "momentum": 2.0}, "momentum must be at least 0 and below 1"),
        (group(params=[0, 1]), r"groups must be of the parameters \[\[0\]\], not \[\[0, 1\]\]"),
        ({**good, "groups": []}, r"groups must be of the parameters \[\[0\]\], not \[\]"),
        (group(lr_ratio=-1), "lr_ratio must be a finite number"),
        (group(settings={"rate": 1}), r"not \['rate'\]"),
        (group(settings={"momentum": 1}), "momentum must be at least 0 and below 1"),
    ]
    for state, message in bad:
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(state)
        assert repr(optimizer.state_dict()) == repr(good)


@EACH_KIND
def test_gradients_that_are_infinite_pass_without_a_warning(kind: Any) -> None:
    for value in (np.inf, np.nan, 1e38):
        w = mg.Tensor([1.0], requires_grad=True, dtype=np.float32)
        optimizer = kind([w], lr=10)
        for _ in range(2):
            w.grad = np.array([value])
            optimizer.step()
        assert w.dtype == np.float32


def test_an_exception_in_a_rule_leaves_numpys_warnings_on() -> None:
    class Failing(mg.Optimizer):
        def update(self, parameter: Any, g: Any, state: Any) -> None:
            raise KeyError("rule")

    w = leaf()
    w.grad = np.ones(2)
    with pytest.raises(KeyError, match="rule"):
        Failing([w], lr=1).step()
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.ones(1) / np.zeros(1)


def test_a_rule_that_reads_its_parameters_at_the_start_can_be_loaded_and_grouped() -> None:
    class Buffered(mg.Optimizer):
        def __init__(self, parameters: Any, lr: float = 0.1, scale: float = 1.0) -> None:
            self.scale = scale
            super().__init__(parameters, lr)
            self.buffers = [np.zeros_like(p.data) for p in self.parameters]

    w = leaf()
    optimizer = Buffered([{"params": [w], "scale": 2.0}], lr=0.5)
    state = optimizer.state_dict()
    w.requires_grad = False
    optimizer.load_state_dict(state)
    assert optimizer.groups[0]["scale"] == 2


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_parameters_are_changed_as_small_ones(order: Any) -> None:
    rng = np.random.default_rng(0)
    start, g = rng.standard_normal((2, 300, 250))
    w = leaf(start)
    w.data = np.asarray(start, order=order)
    w.grad = np.asarray(g, order=order)
    mg.SGD([w], lr=0.1).step()
    assert np.array_equal(w.data, start - 0.1 * g)
    assert np.array_equal(w.grad, g)


def test_a_rule_that_returns_the_parameter_in_place_of_changing_it_is_refused() -> None:
    class Returning(mg.Optimizer):
        def update(self, parameter: Any, g: Any, state: Any) -> Any:
            return parameter - self.lr * g

    optimizer = Returning([leaf()], lr=0.1)
    with pytest.raises(
        TypeError, match=r"Returning\.update must change the parameter in place, as"
    ):
        descend(optimizer)


def test_an_optimizer_is_shown_with_its_settings() -> None:
    assert repr(mg.SGD([leaf(), leaf()], lr=0.5, momentum=0.9)) == (
        "SGD(lr=0.5, momentum=0.9, weight_decay=0.0, nesterov=False)  # 2 parameters"
    )
    assert repr(mg.Adagrad([leaf()])).startswith("Adagrad(lr=0.01, ")
