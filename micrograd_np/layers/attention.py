"""Attention: layers whose outputs look at all places of a sequence at once."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import initializers, ops
from ..checks import at_least_one, below_one
from ..operations import constant
from ..ops.common import Array
from ..tensor import Tensor, apply, as_tensor
from .activations import GELU
from .dropout import Dropout, dropout_mask
from .layer import Layer, parameter
from .linear import Linear
from .normalizations import LayerNorm


class MultiHeadAttention(Layer):
    r"""Attention in several heads, each with projections of its own.

    .. math:: softmax(q k^T / \sqrt{d} + mask) \, v

    for each head, where q, k and v are projections of query, key and value and d is their length
    in a head, embed_dim / num_heads. The heads stand side by side and are projected once more.

    Parameters
    ----------
    embed_dim, num_heads
        Number of features, and into how many heads they are divided.
    dropout
        Probability of a 0 among the attention weights in training mode.
    bias
        Whether the projections have biases, which start at zero.
    batch_first
        Whether sequences are (batch, steps, features) instead of (steps, batch, features).
    weight_init
        Function of shape and rng; by default `initializers.glorot_uniform` of the stacked
        projections, and `lecun_uniform` for the last one.
    rng, dtype
        As for `Linear`; dropout draws from `rng`, too.

    Attributes
    ----------
    in_proj_weight, in_proj_bias : Tensor
        Projections of query, key and value, of shapes (3 embed_dim, embed_dim), (3 embed_dim,).
    out_proj : Linear
        The last projection.

    Notes
    -----
    ``attention(query, key, value)`` takes sequences (steps, batch, embed_dim), or (steps,
    embed_dim) without a batch; key and value may have other steps than query, and are the query
    unless given. It returns the output, of the query's shape, and the weights, (batch, query steps,
    key steps), a mean over the heads unless ``average_attn_weights=False``; None with
    ``need_weights=False``, which is faster.

    Masks are booleans, True for what is not to be looked at, or numbers to be added to the scores:
    ``key_padding_mask`` (batch, key steps) and ``attn_mask`` (query steps, key steps) or (batch *
    num_heads, query steps, key steps). ``is_causal=True`` hides from each step all later ones. A
    query that may look at nothing gets weights of 0.

    Raises
    ------
    ValueError
        If num_heads does not divide embed_dim, or a shape does not fit.

    References
    ----------
    Vaswani et al., "Attention Is All You Need" (2017).
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        batch_first: bool = False,
        weight_init: initializers.Initializer | None = None,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        at_least_one(embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"num_heads must divide embed_dim; received {num_heads}, {embed_dim}")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = below_one("dropout", dropout)
        self.bias = bias
        self.batch_first = batch_first
        self.rng = rng
        shape = (embed_dim, 3 * embed_dim)
        drawn = initializers.draw(weight_init or initializers.glorot_uniform, shape, rng)
        self.in_proj_weight = parameter(drawn.T, dtype)
        self.in_proj_bias = parameter(np.zeros(3 * embed_dim), dtype) if bias else None
        last = weight_init or initializers.lecun_uniform
        self.out_proj = Linear(
            embed_dim, embed_dim, bias=bias, weight_init=last, rng=rng, dtype=dtype
        )

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        query = as_tensor(query)
        key = query if key is None else as_tensor(key)
        sequences = [query, key, key if value is None else as_tensor(value)]
        self._check(*sequences)
        batched = query.ndim == 3
        alike = key is query and sequences[2] is query
        sequences = [self._batch_first(x, batched) for x in sequences[: 1 if alike else 3]]
        batch, steps, _ = sequences[0].shape
        seen = sequences[-1].shape[1]
        projected = self._projected(sequences)
        dtype = projected[0].dtype
        mask = self._mask(key_padding_mask, attn_mask, is_causal, (batch, steps, seen), dtype)
        keep = None
        if self.training and self.dropout:
            shape = (batch, self.num_heads, steps, seen)
            keep = dropout_mask(shape, dtype, self.dropout, self.rng)
        heads = apply(ops.attention, *projected, heads=self.num_heads, mask=mask, keep=keep)
        output = self._batch_first(self.out_proj(heads), batched, back=True)
        if not need_weights:
            return output, None
        width = self.embed_dim
        if alike:
            projected = [projected[0][..., :width], projected[0][..., width : 2 * width]]
        weights = apply(ops.attention_weights, *projected[:2], heads=self.num_heads, mask=mask)
        weights = weights if keep is None else weights * keep
        weights = weights.mean(axis=1) if average_attn_weights else weights
        return output, weights if batched else weights.squeeze(0)

    def _projected(self, sequences: list[Tensor]) -> list[Tensor]:
        """Project query, key and value: at once if they are the same sequence."""
        weight, bias, width = self.in_proj_weight.T, self.in_proj_bias, self.embed_dim
        if len(sequences) == 1:
            return [_linear(sequences[0], weight, bias)]
        parts = [slice(i * width, (i + 1) * width) for i in range(3)]
        return [
            _linear(x, weight[:, part], bias if bias is None else bias[part])
            for x, part in zip(sequences, parts)
        ]

    def _batch_first(self, x: Tensor, batched: bool, back: bool = False) -> Tensor:
        if not batched:
            return x.squeeze(0) if back else x.expand_dims(0)
        return x if self.batch_first else x.swapaxes(0, 1)

    def _mask(
        self, padding: Any, attn: Any, causal: bool, shape: tuple[int, int, int], dtype: Any
    ) -> Array | None:
        """Join all masks to one, to be added to scores of shape (batch, heads, steps, steps)."""
        batch, steps, seen = shape
        found: list[Array] = []
        if causal:
            found.append(_causal_mask(steps, seen, dtype))
        if attn is not None:
            array = _additive("attn_mask", attn, dtype)
            if array.shape == (batch * self.num_heads, steps, seen):
                array = array.reshape(batch, self.num_heads, steps, seen)
            elif array.shape != (steps, seen):
                raise ValueError(
                    f"attn_mask must have shape {(steps, seen)} or "
                    f"{(batch * self.num_heads, steps, seen)}; received {array.shape}"
                )
            found.append(array)
        if padding is not None:
            array = _additive("key_padding_mask", padding, dtype)
            if array.shape not in [(batch, seen), *[(seen,)] * (batch == 1)]:
                raise ValueError(
                    f"key_padding_mask must have shape {(batch, seen)}; received {array.shape}"
                )
            found.append(array.reshape(batch, 1, 1, seen))
        return sum(found[1:], found[0]) if found else None

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        steps_axis = -2 if self.batch_first or query.ndim == 2 else 0
        ok = all(x.ndim in (2, 3) and x.shape[-1] == self.embed_dim for x in (query, key, value))
        if not ok or query.ndim != key.ndim or key.shape != value.shape:
            raise ValueError(
                f"takes sequences of {self.embed_dim} features, key and value of the same shape; "
                f"received {query.shape}, {key.shape} and {value.shape}"
            )
        others = [np.delete(x.shape, steps_axis).tolist() for x in (query, key)]
        if others[0] != others[1]:
            raise ValueError(f"query and key differ in batch: {query.shape} and {key.shape}")


@lru_cache(maxsize=2)
def _causal_mask(steps: int, seen: int, dtype: Any) -> Array:
    """Return -inf for what comes later than a step: made once for all blocks and updates."""
    mask = np.triu(np.full((steps, seen), -np.inf, dtype), 1)
    mask.setflags(write=False)
    return mask


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x @ weight if bias is None else apply(ops.linear, x, weight, bias)


def _additive(name: str, mask: Any, dtype: Any) -> Array:
    """Return a mask as numbers to be added: -inf for True."""
    array = np.asarray(constant(mask))
    if array.dtype.kind == "b":
        return np.where(array, -np.inf, 0).astype(dtype)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{name} must be booleans, True for what is hidden, or floats to be added; received "
            f"{array.dtype}: use astype(bool), in which True hides"
        )
    with np.errstate(over="ignore"):  # the least float64 is -inf in float32
        return array.astype(dtype)


class TransformerBlock(Layer):
    r"""Attention and a small network for each step, each behind a normalization (pre-norm).

    .. math::
        x &\leftarrow x + attention(norm_1(x)) \\
        x &\leftarrow x + linear_2(GELU(linear_1(norm_2(x))))

    It has the formula and the names of ``torch.nn.TransformerEncoderLayer`` with
    ``norm_first=True, activation="gelu", batch_first=True`` and, where it is left out here,
    ``dim_feedforward=4 * embed_dim, dropout=0.0``.

    Parameters
    ----------
    embed_dim, num_heads
        Number of features, and into how many heads they are divided.
    hidden_features
        Number of hidden units of the network, by default 4 * embed_dim.
    dropout
        Probability of a 0 in training mode, among the attention weights, the hidden units and what
        is added to x.
    causal
        Whether each step sees itself and earlier steps only.
    weight_init, rng, dtype
        As for `Linear` and `MultiHeadAttention`; dropout draws from `rng`, too.

    Notes
    -----
    Input of shape (batch, steps, embed_dim) or (steps, embed_dim) gives output of the same shape.
    ``block(x, attn_mask=..., key_padding_mask=...)`` takes the masks of `MultiHeadAttention`, in
    which `causal` is called `is_causal`. The weights of its attention are
    ``block.self_attn(block.norm1(x), is_causal=block.causal, average_attn_weights=False)[1]``.

    Raises
    ------
    ValueError
        If num_heads does not divide embed_dim, or a shape does not fit.

    References
    ----------
    Vaswani et al., "Attention Is All You Need" (2017); Xiong et al., "On Layer Normalization in the
    Transformer Architecture" (2020) for pre-norm.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        hidden_features: int | None = None,
        dropout: float = 0.0,
        causal: bool = False,
        *,
        weight_init: initializers.Initializer | None = None,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        hidden = 4 * embed_dim if hidden_features is None else hidden_features
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.hidden_features = hidden_features
        self.dropout = dropout
        self.causal = causal
        kinds: dict[str, Any] = {"rng": rng, "dtype": dtype}
        linear_init = weight_init or initializers.lecun_uniform
        self.self_attn = MultiHeadAttention(
            embed_dim, num_heads, dropout, batch_first=True, weight_init=weight_init, **kinds
        )
        self.linear1 = Linear(embed_dim, hidden, bias=True, weight_init=linear_init, **kinds)
        self.linear2 = Linear(hidden, embed_dim, bias=True, weight_init=linear_init, **kinds)
        self.norm1 = LayerNorm(embed_dim, dtype=dtype)
        self.norm2 = LayerNorm(embed_dim, dtype=dtype)
        self.activation = GELU()
        self.drop = Dropout(dropout, rng=rng)

    def forward(self, x: Tensor, attn_mask: Any = None, key_padding_mask: Any = None) -> Tensor:
        attended, _ = self.self_attn(
            self.norm1(x), attn_mask=attn_mask, key_padding_mask=key_padding_mask,
            need_weights=False, is_causal=self.causal,
        )  # fmt: skip
        x = x + self.drop(attended)
        hidden = self.drop(self.activation(self.linear1(self.norm2(x))))
        y: Tensor = x + self.drop(self.linear2(hidden))
        return y
