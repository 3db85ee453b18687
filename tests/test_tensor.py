"""What tensors hold, accept, refuse, show, and how NumPy treats them."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])


def leaf(data: Any = X, dtype: Any = None) -> mg.Tensor:
    return mg.Tensor(data, requires_grad=True, dtype=dtype)


def test_attributes_are_those_of_the_array() -> None:
    t = leaf()
    assert (t.shape, t.ndim, t.size) == ((2, 3), 2, 6)
    assert t.dtype == np.float64
    assert t.T.shape == (3, 2)
    assert t.requires_grad
    assert t.is_leaf
    assert t.grad is None
    assert len(t) == 2
    assert not mg.Tensor(X).requires_grad
    assert np.array_equal(t.data, X)


def test_a_tensor_shares_an_array_unless_it_requires_a_gradient() -> None:
    array = X.copy()
    assert mg.Tensor(array).data is array
    parameter = leaf(array)
    parameter.data[0, 0] = 100
    assert array[0, 0] == 1


def test_training_never_writes_into_the_users_arrays() -> None:
    weight, inputs, targets = np.ones((3, 1)), X.copy(), np.ones((2, 1))
    for array in (inputs, targets):
        array.setflags(write=False)
    w = leaf(weight)
    mg.sum_of_squares(mg.Tensor(inputs) @ w, targets).backward()
    mg.SGD([w], lr=0.1).step()
    assert np.array_equal(weight, np.ones((3, 1)))


@pytest.mark.parametrize(
    ("data", "dtype"),
    [(3, np.int64), (2.5, np.float64), (True, np.bool_), ([1, 2.5], np.float64), ([], np.float64),
     (np.float32(2), np.float32), (np.arange(3, dtype=np.int8), np.int8)],
)  # fmt: skip
def test_dtypes_are_numpys(data: Any, dtype: Any) -> None:
    assert mg.Tensor(data).dtype == dtype
    assert mg.Tensor(data, dtype=np.float32).dtype == np.float32


class Masked(np.ma.MaskedArray[Any, Any]):
    pass


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ("text", TypeError, "floats, integers or booleans; received str of dtype <U4"),
        (None, TypeError, "received None, which"),
        (1 + 2j, TypeError, "received complex of dtype complex128"),
        (np.array(["2020-01-01"], "M8[D]"), TypeError, "dtype datetime64"),
        ([object()], TypeError, "received list of dtype object"),
        ([[1, 2], [3]], ValueError, "rectangular array of numbers"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), TypeError, "masked arrays"),
        (np.ma.masked_array([1.0, 2.0], [True, False]).view(Masked), TypeError, "masked arrays"),
    ],
)
def test_what_is_not_numbers_is_refused(data: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        mg.Tensor(data)
    with pytest.raises(kind, match=message):
        mg.Tensor(data, dtype=float)
    with pytest.raises(kind, match=message):
        leaf() * data


def test_numbers_beyond_64_bits_are_floats_or_refused() -> None:
    assert (leaf(1.0) * 2**70).item() == 2.0**70
    with pytest.raises(TypeError, match="received int of dtype object"):
        mg.Tensor(2**70)


@pytest.mark.parametrize("data", [[1, 2], True, np.arange(3)])
def test_only_floats_can_require_a_gradient(data: Any) -> None:
    with pytest.raises(TypeError, match=r"only floats can require a gradient.*dtype=float"):
        leaf(data)
    with pytest.raises(TypeError, match="only floats"):
        mg.Tensor(data).requires_grad = True
    assert leaf(data, dtype=float).requires_grad


def test_odd_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match="dtype must be one of floats, integers or booleans"):
        mg.Tensor([1.0], dtype=complex)


ARRAYS: dict[str, Callable[[], Any]] = {
    "negative strides": lambda: X[::-1, ::-1],
    "fortran order": lambda: np.asfortranarray(X),
    "every other": lambda: np.repeat(X, 2, axis=1)[:, ::2],
    "zero strides": lambda: np.broadcast_to(X[0], (2, 3)),
    "big-endian": lambda: X.astype(">f8"),
    "matrix": lambda: np.asmatrix(X),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_any_layout_give_right_values_and_are_not_written_into(name: str) -> None:
    array = ARRAYS[name]()
    plain = np.array(array.tolist())
    if array.flags.writeable:
        array.setflags(write=False)
    for t in (mg.Tensor(array), leaf(array)):
        weight = leaf(np.ones((3, 2)))
        value = ((t * 2 + array) @ weight).sigmoid()
        np.testing.assert_allclose(value.data, 1 / (1 + np.exp(-(3 * plain @ np.ones((3, 2))))))
        value.sum().backward()
        slope = value.data * (1 - value.data)
        assert weight.grad is not None
        np.testing.assert_allclose(weight.grad, 3 * plain.T @ slope)
        assert type(value.data) is np.ndarray
        assert weight.grad.dtype == np.float64
        if t.requires_grad:
            assert t.grad is not None
            np.testing.assert_allclose(t.grad, 2 * slope @ np.ones((2, 3)))


def test_memory_mapped_input_works(tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert (mg.Tensor(mapped) @ np.ones(3)).data.tolist() == [2, 3]


def test_values_of_ops_are_read_only() -> None:
    t = leaf()
    for value in (t + 1, t.exp(), t.sum(), t.reshape(3, 2), t[0], t.T, mg.Tensor(X) + 1):
        with pytest.raises(ValueError, match="read-only"):
            value.data[...] = 0
    t.data[0, 0] = 7  # a leaf's are not
    assert t.data[0, 0] == 7


def test_an_op_that_returns_its_argument_does_not_lock_it() -> None:
    t = leaf()
    value = mg.apply(lambda x: (x, (lambda g: g,)), t)
    assert not value.data.flags.writeable
    assert t.data.flags.writeable
    other = leaf()
    for pick in (0, 1):
        mg.apply(lambda *xs, i=pick: (xs[i], (lambda g: g, lambda g: g)), t, other)
        assert t.data.flags.writeable
        assert other.data.flags.writeable
    both = mg.apply(lambda x, y: (y, (lambda g: 0 * g, lambda g: g)), t, t)
    three = mg.apply(lambda x, y, z: (z, (lambda g: g,) * 3), t, t, t)
    assert t.data.flags.writeable
    assert not both.data.flags.writeable
    assert not three.data.flags.writeable


def test_data_can_be_replaced_by_data_of_the_same_shape() -> None:
    t = leaf(dtype=np.float32)
    mine = np.ones((2, 3))
    t.data = mine
    assert t.dtype == np.float32
    own = t.data
    t.data -= 0.5
    assert t.data is own
    assert t.data.tolist() == [[0.5] * 3] * 2
    assert mine[0, 0] == 1
    wide = leaf()
    wide.data = mine
    wide.data[0, 0] = 5
    assert mine[0, 0] == 1
    with pytest.raises(ValueError, match=r"must keep the shape \(2, 3\); received \(3,\)"):
        t.data = [1, 2, 3]
    with pytest.raises(ValueError, match="made by an op cannot be replaced"):
        (t + 1).data = mine


def test_requires_grad_can_be_switched_on_leaves() -> None:
    t = leaf()
    t.sum().backward()
    t.requires_grad = False
    assert t.grad is None
    assert not (t * 2).requires_grad
    t.requires_grad = True
    assert t.grad is None
    t.sum().backward()
    t.requires_grad = True
    assert t.grad is not None
    with pytest.raises(ValueError, match="made by an op is fixed"):
        (t * 2).requires_grad = False


def test_grad_takes_only_what_fits() -> None:
    t = leaf()
    t.grad = np.ones((2, 3))
    assert t.grad is not None
    t.grad = None
    assert t.grad is None
    with pytest.raises(ValueError, match=r"grad must have shape \(2, 3\); received \(3,\)"):
        t.grad = np.ones(3)
    with pytest.raises(ValueError, match=r"received \(3, 2\)"):
        t.grad = np.ones((3, 2))
    with pytest.raises(ValueError, match="only a leaf that requires a gradient can hold one"):
        mg.Tensor(X).grad = X
    mg.Tensor(X).grad = None


def test_data_keeps_its_kind_of_dtype() -> None:
    t = mg.Tensor([1, 2])
    with pytest.raises(TypeError, match="must keep the dtype int64; received float64"):
        t.data = [1.5, 2.5]
    t.data = [3, 4]
    assert t.data.tolist() == [3, 4]


def test_a_tensor_that_comes_to_require_a_gradient_owns_its_data() -> None:
    array = np.ones(3)
    shared = mg.Tensor(array)
    weight = leaf(np.zeros(3))
    twin = weight.detach()
    made = mg.Tensor(array) * 2
    for t in (shared, twin, made):
        t.requires_grad = True
        t.sum().backward()
        mg.SGD([t], lr=0.5).step()
    assert array.tolist() == [1, 1, 1]
    assert weight.data.tolist() == [0, 0, 0]
    assert made.data.tolist() == [1.5] * 3


def test_grad_is_a_copy_of_what_it_is_set_to() -> None:
    t, mine = leaf(np.zeros(2)), np.ones(2)
    t.grad = mine
    mine[:] = 7
    assert t.grad is not None
    assert t.grad.tolist() == [1, 1]
    with pytest.raises(ValueError, match="only a leaf"):
        (t * 2).grad = mine


def test_dtypes_that_tensors_do_not_hold_are_refused_by_ops_too() -> None:
    for dtype in (complex, str, object, "M8[s]"):
        with pytest.raises(TypeError, match="tensors hold floats, integers or booleans"):
            leaf().astype(dtype)
    with pytest.raises(TypeError, match=r"an op must return floats, .* received complex128"):
        mg.apply(lambda x: (x * 1j, (lambda g: g,)), [1.0])


def test_misspelt_names_are_refused() -> None:
    with pytest.raises(AttributeError):
        leaf().gard = None  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        mg.Tensor(X, require_grad=True)  # type: ignore[call-arg]


def test_size_one_tensors_are_numbers() -> None:
    t = leaf([[2.5]])
    assert (t.item(), float(t), int(t), bool(t)) == (2.5, 2.5, 2, True)
    assert (f"{t:.2f}", f"{t.sum()}") == ("2.50", "Tensor(2.5, requires_grad=True)")
    assert type(mg.Tensor(3).item()) is int
    for call in (float, int, bool, mg.Tensor.item, "{:.1f}".format):
        with pytest.raises(ValueError, match=r"only a tensor of one entry.*shape \(2, 3\)"):
            call(leaf())


def test_new_data_of_a_shared_tensor_leave_the_users_array_alone() -> None:
    array = np.ones(3)
    t = mg.Tensor(array)
    t.data = [4, 5, 6]
    assert array.tolist() == [1, 1, 1]


def test_data_of_the_dtype_asked_for_are_not_copied() -> None:
    array = np.ones(3)
    assert mg.Tensor(array, dtype=float).data is array
    assert mg.Tensor(array).__array__(copy=False) is array


def test_tensors_are_distinct_keys() -> None:
    assert len({leaf(), leaf()}) == 2


def test_ops_of_several_inputs_keep_float32_beside_python_numbers() -> None:
    t = leaf(np.ones(3), np.float32)
    assert t.where(np.array([True, False, True]), 0.5).dtype == np.float32
    assert t.concatenate([1, 2], 3 * t).dtype == np.float32
    assert mg.Tensor([0, 1, 3]).clip(0.5, 2.5).data.tolist() == [0.5, 1, 2.5]


def test_an_empty_tensor_is_no_number() -> None:
    with pytest.raises(ValueError, match=r"only a tensor of one entry is a number.*\(0,\)"):
        mg.Tensor([]).item()


def test_leaves_are_contiguous_and_native() -> None:
    assert leaf(np.asfortranarray(X)).data.flags.c_contiguous
    assert leaf(X.astype(">f8")).dtype.isnative


def test_methods_have_the_docs_of_their_ops() -> None:
    assert mg.Tensor.exp.__doc__ == mg.ops.exp.__doc__
    assert mg.Tensor.maximum.__name__ == "maximum"


def test_cached_constants_cannot_be_written_into() -> None:
    with pytest.raises(ValueError, match="read-only"):
        mg.ops.common.number(1, np.dtype(float))[...] = 2


def test_iteration_gives_rows_with_gradients() -> None:
    t = leaf()
    rows = list(t)
    assert [row.data.tolist() for row in rows] == X.tolist()
    (rows[0] * 2 + rows[1]).sum().backward()
    assert t.grad is not None
    assert t.grad.tolist() == [[2] * 3, [1] * 3]
    for call in (len, iter):
        with pytest.raises(TypeError, match="without axes"):
            call(mg.Tensor(1.0))
    assert 5 in t
    assert mg.Tensor(7) not in t


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (mg.Tensor(1.5), "Tensor(1.5)"),
        (mg.Tensor([1, 2]), "Tensor([1, 2])"),
        (mg.Tensor([1.0], requires_grad=True), "Tensor([1.], requires_grad=True)"),
        (mg.Tensor([1], dtype=np.float32), "Tensor([1.], dtype=float32)"),
        (mg.Tensor([[1, 2], [3, 4]]), "Tensor([[1, 2],\n        [3, 4]])"),
        (mg.Tensor(np.zeros((0, 2))), "Tensor([], shape=(0, 2), dtype=float64)"),
        (
            mg.Tensor(np.arange(2000.0), requires_grad=True, dtype=np.float32),
            "Tensor([0.000e+00, 1.000e+00, 2.000e+00, ..., 1.997e+03, 1.998e+03,\n"
            "        1.999e+03], shape=(2000,), dtype=float32, requires_grad=True)",
        ),
    ],
)
def test_repr_is_numpys(tensor: mg.Tensor, text: str) -> None:
    if np.__version__ < "2":  # which does not tell the shape of a summary
        text = text.replace(" shape=(2000,),", "")
    assert repr(tensor) == text


def test_numpy_gives_a_copy_and_detach_shares() -> None:
    t = leaf()
    copied = t.numpy()
    copied[0, 0] = 9
    assert t.data[0, 0] == 1
    assert t.detach().data is t.data
    assert not t.detach().requires_grad
    assert not (t * 2).detach().requires_grad


def test_asarray_refuses_to_lose_a_gradient() -> None:
    for call in (np.asarray, np.array, lambda t: np.array([t, t]), mg.Tensor):
        with pytest.raises(TypeError, match=r"use \.detach\(\) or \.data"):
            call(leaf())
    t = mg.Tensor(X)
    assert np.asarray(t) is t.data
    assert np.array(t) is not t.data
    assert np.asarray(t, np.float32).dtype == np.float32
    assert mg.Tensor(t).data is t.data
    with pytest.raises(ValueError, match="without a copy"):
        t.__array__(np.float32, copy=False)


def test_comparisons_give_arrays_of_booleans() -> None:
    t = leaf([1.0, 2.0, 3.0])
    assert (t > 2).tolist() == [False, False, True]
    assert (t >= mg.Tensor([1, 3, 3])).tolist() == [True, False, True]
    assert (t < np.array(2)).tolist() == [True, False, False]
    assert (t >= 2).tolist() == [False, True, True]
    assert (t <= 2).tolist() == [True, True, False]
    assert (np.array([2, 2, 2]) >= t).tolist() == [True, True, False]
    assert (t == [1, 0, 3]).tolist() == [True, False, True]
    assert (t != t).tolist() == [False] * 3
    assert (np.array([2, 2, 2]) > t).tolist() == [True, False, False]
    assert type(t > 2) is np.ndarray
    assert t != "text"
    with pytest.raises(TypeError):
        _ = t < "text"
    assert {t: 1}[t] == 1


def test_operators_reflect() -> None:
    t = mg.Tensor([4.0, 2.0])
    assert (1 + t).data.tolist() == [5, 3]
    assert (1 - t).data.tolist() == [-3, -1]
    assert (3 * t).data.tolist() == [12, 6]
    assert (8 / t).data.tolist() == [2, 4]
    assert (2**t).data.tolist() == [16, 4]
    assert (+t).data.tolist() == [4, 2]
    assert ([[1, 2]] @ t).data.tolist() == [8]
    assert ([1, 2] - t).data.tolist() == [-3, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda a, t: a * t, lambda a, t: a - t, lambda a, t: a @ t.T, lambda a, t: np.add(a, t),
        lambda a, t: np.multiply(t, a), lambda a, t: np.float64(2) * t,
        lambda a, t: t / np.float64(2),
        lambda a, t: np.exp(t), lambda a, t: np.sum(t, axis=0), lambda a, t: np.mean(t),
        lambda a, t: np.max(t, axis=1), lambda a, t: np.amax(t), lambda a, t: np.amin(t, 0),
        lambda a, t: np.var(t, axis=0, ddof=1), lambda a, t: np.concatenate([a, t]),
        lambda a, t: np.concatenate((t, a), axis=1), lambda a, t: np.stack([a, t], axis=1),
        lambda a, t: np.where(a > 0, t, a), lambda a, t: np.where(t > 0, t, 0),
        lambda a, t: np.maximum(a, t), lambda a, t: np.power(t * t, a), lambda a, t: np.square(t),
        lambda a, t: np.reshape(t, (3, 2)), lambda a, t: np.transpose(t), lambda a, t: np.abs(t),
        lambda a, t: np.transpose(t, axes=(1, 0)), lambda a, t: np.swapaxes(t, 0, 1),
        lambda a, t: np.squeeze(np.expand_dims(t, 0)), lambda a, t: np.broadcast_to(t, (2, 2, 3)),
        lambda a, t: np.clip(t, -1.5, 2), lambda a, t: np.clip(t, a_min=-1.5, a_max=None),
        lambda a, t: np.var(t, 1),
        lambda a, t: np.matmul(a.T, t), lambda a, t: np.tanh(t), lambda a, t: np.negative(t),
        lambda a, t: np.divide(t, a), lambda a, t: np.min(t, keepdims=True), lambda a, t: np.sin(t),
        lambda a, t: np.log1p(t * t), lambda a, t: np.logaddexp(a, t), lambda a, t: np.arctan(t),
        lambda a, t: np.reciprocal(t), lambda a, t: np.round(t, 1), lambda a, t: np.around(t),
        lambda a, t: np.floor(t + 0.5), lambda a, t: np.sign(t), lambda a, t: np.log2(t * t),
        lambda a, t: np.prod(t), lambda a, t: np.prod(t, axis=0), lambda a, t: np.cumsum(t),
        lambda a, t: np.cumsum(t, 1), lambda a, t: np.std(t, 0, ddof=1), lambda a, t: np.std(t),
        lambda a, t: np.linalg.norm(t), lambda a, t: np.linalg.norm(t, axis=1, keepdims=True),
        lambda a, t: np.linalg.norm(t, 2, np.int64(0)), lambda a, t: np.linalg.norm(t, axis=(0, 1)),
        lambda a, t: np.linalg.norm(t[0], ord=2), lambda a, t: np.moveaxis(t, 0, 1),
        lambda a, t: np.ravel(t), lambda a, t: np.flip(t), lambda a, t: np.flip(t, 1),
        lambda a, t: np.roll(t, 2), lambda a, t: np.roll(t, 1, axis=1), lambda a, t: np.pad(t, 1),
        lambda a, t: np.pad(t, ((1, 0), (0, 2)), "constant", constant_values=9),
        lambda a, t: np.pad(t, (1, 2), constant_values=((1, 2), (3, 4))),
        lambda a, t: np.repeat(t, 2), lambda a, t: np.repeat(t, [1, 2], axis=0),
        lambda a, t: np.tile(t, 2), lambda a, t: np.tile(t, (2, 1, 2)),
        lambda a, t: np.split(t, 2)[1], lambda a, t: np.split(t, [1], axis=1)[1],
        lambda a, t: np.take(t, [0, 5, 0]), lambda a, t: np.take(t, np.array([[1, 1]]), axis=1),
        lambda a, t: np.take_along_axis(t, np.array([[2], [0]]), 1), lambda a, t: np.tril(t),
        lambda a, t: np.take_along_axis(t, np.array([2, 0]), None), lambda a, t: np.triu(t, k=1),
        lambda a, t: np.einsum("ij,kj->ik", t, a), lambda a, t: np.einsum("ij,ij", a, t),
        lambda a, t: np.einsum("ij,ij->", t, t), lambda a, t: np.einsum("ij,i,kj", t, t[:, 0], a),
        lambda a, t: np.einsum("...j -> ...", t, optimize=True), lambda a, t: np.trace(t),
        lambda a, t: np.trace(t, 1), lambda a, t: np.tensordot(t, a, 2),
        lambda a, t: np.tensordot(a, t, axes=([0, 1], [0, 1])), lambda a, t: np.outer(t, a),
        lambda a, t: np.outer(a[0], t), lambda a, t: np.inner(a, t), lambda a, t: np.inner(t, 3),
    ],
)  # fmt: skip
def test_numpy_functions_give_tensors_with_gradients(call: Any) -> None:
    plain = call(X, X)
    t = leaf()
    value = call(X, t)
    assert type(value) is mg.Tensor
    assert value.requires_grad
    np.testing.assert_allclose(value.data, plain)
    value.sum().backward()
    assert t.grad is not None
    assert mg.gradcheck(lambda x: call(X, x), X)


def test_every_op_that_numpy_has_is_reached_through_numpy() -> None:
    t = leaf()
    arguments: dict[str, tuple[Any, ...]] = {
        "broadcast_to": (t, (2, 2, 3)), "expand_dims": (t, 0), "reshape": (t, (3, 2)),
        "swapaxes": (t, 0, 1), "clip": (t, -1, 1), "astype": (t, np.float32), "matmul": (t, t.T),
        "where": (X > 0, t, 0), "concatenate": ([t, t],), "stack": ([t, t],), "pad": (t, 1),
        "moveaxis": (t, 0, 1), "roll": (t, 1), "take": (t, 0),
        "take_along_axis": (t, np.zeros((2, 1), int), 1), "einsum": ("ij", t), "tensordot": (t, t),
    }  # fmt: skip
    for name in mg.ops.ALL:
        function = getattr(np, name, None)
        if function is not None:
            count = function.nin if isinstance(function, np.ufunc) else 1
            assert type(function(*arguments.get(name, (t,) * count))) is mg.Tensor, name


def test_functions_of_the_order_of_values_give_arrays() -> None:
    t = leaf()
    for value, expected in [
        (np.argmax(t), 4), (t.argmax(), 4), (t.argmax(axis=1), [2, 1]),
        (np.argmin(t, 0), [0, 0, 1]), (t.argmin(), 5),
        (np.argsort(t), [[1, 0, 2], [2, 0, 1]]), (t.argsort(0), [[0, 0, 1], [1, 1, 0]]),
        (np.any(t, axis=0), [True] * 3), (np.all(t), True), (mg.Tensor([0, 1]).all(), False),
        (mg.Tensor([0, 0]).any(), False), (np.argmax(t, axis=1, keepdims=True), [[2], [1]]),
    ]:  # fmt: skip
        assert not isinstance(value, mg.Tensor)
        assert value.tolist() == expected
    assert "Return numpy.argmax of the values: an array, no tensor." in str(
        mg.Tensor.argmax.__doc__
    )


def test_items_cannot_be_set() -> None:
    t = leaf()
    for index in (0, (0, 1), slice(None), t > 0):
        with pytest.raises(TypeError, match=r"cannot be written into.*np\.where.*\.data"):
            t[index] = 1
    t.data[0, 0] = 7
    assert t[0, 0].item() == 7


def test_indices_counts_and_lengths_may_be_tensors_without_gradient() -> None:
    t = leaf()
    assert t.take(mg.Tensor([0, 5])).data.tolist() == [1, -6]
    assert t.take_along_axis(mg.Tensor([[1], [0]])).data.tolist() == [[-2], [4]]
    assert t.repeat(mg.Tensor([0, 2]), 0).shape == (2, 3)
    assert [part.shape for part in t.split(mg.Tensor([1]), 1)] == [(2, 1), (2, 2)]


def test_shape_ndim_and_size_are_asked_through_numpy_too() -> None:
    assert (np.shape(leaf()), np.ndim(leaf()), np.size(leaf())) == ((2, 3), 2, 6)


def add_into(array: Any, t: Any) -> None:
    array += t


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda a, t: np.arcsinh(t), "numpy.arcsinh "),
        (lambda a, t: np.linalg.svd(t), "numpy.linalg.svd "),
        (lambda a, t: np.median(t), "numpy.median "),
        (lambda a, t: np.add.accumulate(t), "numpy.add.accumulate"),
        (lambda a, t: np.add(t, t, out=a), "numpy.add with out="),
        (lambda a, t: add_into(a, t), "numpy.add with out="),
        (lambda a, t: np.sort(t), "numpy.sort "),
        (lambda a, t: np.array_split(t, 2), "numpy.array_split "),
        (lambda a, t: np.linalg.norm(t, 1), "numpy.linalg.norm with ord=1 "),
        (lambda a, t: np.linalg.norm(t, 1, axis=0), "numpy.linalg.norm with ord=1 "),
        (lambda a, t: np.linalg.norm(t, 2), "numpy.linalg.norm with ord=2 "),
        (lambda a, t: np.linalg.norm(t, "nuc"), "numpy.linalg.norm with ord='nuc' "),
        (lambda a, t: np.linalg.norm(t, 2, (0, 1)), "numpy.linalg.norm with ord=2 "),
        (lambda a, t: np.isnan(t), "numpy.isnan "),
        (lambda a, t: np.array_equal(a, t), "numpy.array_equal "),
    ],
)
def test_numpy_functions_without_rules_are_refused_by_name(call: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}.*no rule for tensors"):
        call(X.copy(), leaf())


def test_the_tensor_is_the_first_argument_of_numpys_functions() -> None:
    with pytest.raises(TypeError, match=r"numpy\.sum takes the tensor as its first argument"):
        np.sum(a=leaf())


def test_options_that_ops_lack_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="dtype"):
        np.sum(leaf(), dtype=np.float32)
    with pytest.raises(TypeError, match="out"):
        np.einsum("ij", leaf(), out=X.copy())
    with pytest.raises(TypeError, match="takes subscripts such as"):
        np.einsum(leaf(), [0, 1])
    with pytest.raises(ValueError, match='mode must be "constant"'):
        np.pad(leaf(), 1, mode="edge")
    with pytest.raises(TypeError, match="order"):
        np.ravel(leaf(), order="F")
    with pytest.raises(TypeError, match="axsi"):
        np.stack([leaf()], axsi=1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"sum\(\) takes from 1 to 2 positional arguments"):
        np.sum(leaf(), 0, np.float32)


@pytest.mark.parametrize(
    ("other", "dtype"),
    [
        (2, np.float32), (2.5, np.float32), (True, np.float32), (1e300, np.float32),
        (np.arange(3), np.float32), (np.ones(3, bool), np.float32), ([1, 2, 3], np.float32),
        (np.int64(2), np.float32), (np.float32(2), np.float32),
        (np.ones(3, np.float32), np.float32),
        (np.array(2.0, np.float32), np.float32), (np.float64(2), np.float64),
        (np.array(2.0), np.float64), (np.ones(3), np.float64), ([1.0, 2, 3], np.float64),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(2, 3), ()])
def test_promotion_is_numpy_2s_but_integers_never_widen(
    other: Any, dtype: Any, shape: tuple[int, ...]
) -> None:
    calls: list[Any] = [lambda x, y: x * y, lambda x, y: y - x, lambda x, y: np.maximum(x, y)]
    for call in calls:
        t = leaf(np.ones(shape, np.float32))
        value = call(t, other)
        assert value.dtype == dtype
        value.sum().backward()
        assert t.grad is not None
        assert t.grad.dtype == np.float32
        assert t.grad.shape == shape


def test_minus_zero_keeps_its_sign_beside_a_tensor() -> None:
    t = leaf(0.0)
    assert (1 / (t + 0.0)).item() == np.inf
    assert (1 / (mg.Tensor(-0.0) + -0.0)).item() == -np.inf


def test_integer_tensors_follow_numpy_among_themselves() -> None:
    t = mg.Tensor(np.array([1, 2], np.int8))
    assert (t * 2).dtype == np.int8
    assert (t * 2.5).dtype == np.float64
    assert (t + mg.Tensor([1, 2])).dtype == np.int64
    assert (t + np.array([True, False])).data.tolist() == [2, 2]
    assert (t / 2).dtype == np.float64
    assert mg.Tensor([True, False]).sum().item() == 1
    assert t.mean().item() == 1.5
    assert t.exp().dtype in (np.float16, np.float64)


def test_integer_values_record_nothing() -> None:
    assert not leaf().astype(int).requires_grad


@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_copies_keep_the_leaf_and_drop_the_graph(make: Any) -> None:
    t = leaf(dtype=np.float32)
    (t * 2).sum().backward()
    twin = make(t)
    assert np.array_equal(twin.data, t.data)
    assert t.grad is not None
    assert np.array_equal(twin.grad, t.grad)
    assert twin.requires_grad
    assert twin.data is not t.data
    (twin * 3).sum().backward()
    assert t.grad is not None
    assert t.grad[0, 0] == 2
    value = make(t * 2)
    assert np.array_equal(value.data, 2 * X)
    assert not value.requires_grad


def test_copies_keep_sharing() -> None:
    layer = mg.Linear(2, 2)
    one, two = copy.deepcopy([layer, mg.Sequential(layer, mg.Tanh())])
    assert one is two[0]  # type: ignore[index]
    model, optimizer = pickle.loads(pickle.dumps((layer, mg.SGD(layer.parameters(), lr=1))))
    assert optimizer.parameters[0] is model.weight
    model(np.ones(2)).sum().backward()
    before = model.weight.numpy()
    optimizer.step()
    assert not np.array_equal(model.weight.data, before)


def test_a_subclass_of_tensor_is_a_tensor() -> None:
    class Named(mg.Tensor):
        pass

    t = Named([1.0, 2.0], requires_grad=True)
    ((t * t) + t.exp()).sum().backward()
    assert t.grad is not None
    np.testing.assert_allclose(t.grad, 2 * t.data + np.exp(t.data))


def test_indices_may_be_tensors() -> None:
    t = leaf()
    assert t[mg.Tensor([1, 0])].shape == (2, 3)
    t[mg.Tensor([0, 0])].sum().backward()
    assert t.grad is not None
    assert t.grad.tolist() == [[2] * 3, [0] * 3]
    assert t[mg.Tensor(1), mg.Tensor([0, 0])].data.tolist() == [4, 4]
    assert t[t > 2].data.tolist() == [3, 4, 5]
    with pytest.raises(IndexError):
        t[mg.Tensor([0.5])]


def test_bounds_that_are_python_numbers_do_not_widen_float32() -> None:
    t = leaf(dtype=np.float32)
    for value in (t.clip(-1.5, 2), np.clip(t, -1.5, 2), np.clip(t, a_min=0, a_max=None)):
        assert value.dtype == np.float32
    for bound in ([0, 0, 0], np.int64(2), mg.Tensor([0, 0, 0])):
        assert np.clip(t, bound, None).dtype == np.float32
    assert t.clip(np.zeros(3), None).dtype == np.float64
    assert mg.Tensor([1, 9]).clip(2, 5).data.tolist() == [2, 5]


def test_conditions_and_bounds_may_be_tensors_without_gradient() -> None:
    t = leaf()
    chosen: Any = np.where(mg.Tensor(X > 0), t, 0)
    assert chosen.data.min() == 0
    assert t.clip(mg.Tensor(0.0), mg.Tensor([1.0, 2.0, 3.0])).data.tolist()[1] == [1, 2, 0]
    for call in (t.clip, lambda bound: np.clip(t, bound, None), lambda c: t.where(c, 0)):
        with pytest.raises(TypeError, match=r"\.detach"):
            call(leaf(0.0))
    options = {"min": 0, "max": 2}  # NumPy 2's names
    assert t.__array_function__(np.clip, (), (t,), options).data.tolist()[0] == [1, 0, 2]
    value = t.where([1, 0, 2], 0)
    value.backward(np.ones((2, 3)))
    assert t.grad is not None
    assert t.grad.tolist() == [[1, 0, 1]] * 2


@pytest.mark.parametrize(
    ("x", "y"),
    [((), (2, 3)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)),
     ((2, 4, 3), (3,)), ((2, 4, 3), (3, 2)), ((3,), (2, 3, 4)), ((2, 4, 3), (5, 3, 2))],
)  # fmt: skip
def test_dot_is_numpys(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    a, b = (np.random.default_rng(0).standard_normal(shape) for shape in (x, y))
    np.testing.assert_allclose(np.dot(leaf(a), b).data, np.dot(a, b))
    np.testing.assert_allclose(np.dot(a, leaf(b)).data, np.dot(a, b))
    assert mg.gradcheck(lambda a, b: a.dot(b), a, b)


def test_windows_are_methods_too() -> None:
    images, kernels = np.arange(48.0).reshape(1, 3, 4, 4) % 7, np.arange(24.0).reshape(2, 3, 2, 2)
    x = leaf(images)
    assert np.array_equal(x.max_pool2d(2).data, mg.MaxPool2d(2)(x).data)
    assert np.array_equal(x.avg_pool2d(2, 1).data, mg.AvgPool2d(2, 1)(x).data)
    for bias in (None, np.array([1.0, -1.0])):
        layer = mg.Conv2d(3, 2, 2, 2, 1, bias=bias is not None)
        layer.weight.data = kernels
        if layer.bias is not None:
            layer.bias.data = bias
        assert np.array_equal(x.conv2d(kernels, bias, stride=2, padding=1).data, layer(x).data)
        tall = x.conv2d(kernels[..., :1], bias)[:, :, :, 0]
        assert np.array_equal(x[..., 0].conv1d(kernels[..., 0], bias).data, tall.data)


def test_a_tensor_of_several_entries_is_neither_true_nor_false() -> None:
    assert mg.Tensor([[0.5]])
    assert not mg.Tensor(0.0)
    for data in ([1.0, 2.0], []):
        with pytest.raises(ValueError, match=r"true or false; .* .any\(\) or .all\(\); received"):
            bool(mg.Tensor(data))


def test_a_gradient_that_is_missing_is_no_data() -> None:
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(
        TypeError, match=r"received None, which .* as its gradient a tensor that backward has not"
    ):
        x - x.grad
