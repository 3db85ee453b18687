"""Functions of NumPy by what they do, as far as a recorder must know it."""

import numpy as np

# Those that tell of shapes and kinds, not of values.
OF_SHAPES = {
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.shares_memory,
    np.may_share_memory, np.iscomplexobj, np.isrealobj,
}  # fmt: skip
# Those that write into their first argument.
WRITERS = {np.copyto, np.put, np.put_along_axis, np.place, np.putmask, np.fill_diagonal}
# Those that write their result into `out`, as it is.
WITH_OUT = {np.einsum, np.concatenate, np.stack, np.dot, np.outer}
# Those whose results have a shape that no values decide.
STEADY = {
    np.all, np.amax, np.amin, np.any, np.argmax, np.argmin, np.argsort, np.average, np.clip,
    np.cross, np.cumsum, np.diff, np.einsum, np.flip, np.inner, np.kron, np.linalg.norm, np.max,
    np.mean, np.median, np.min, np.ndarray.__getitem__, np.pad, np.prod, np.roll, np.sort, np.std,
    np.sum, np.take, np.take_along_axis, np.tensordot, np.tile, np.trace, np.tril, np.triu, np.var,
    np.vdot,
}  # fmt: skip
# Those that give views, of which no values decide.
VIEWS = {
    np.array_split, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_arrays,
    np.broadcast_to, np.diag, np.diagonal, np.dsplit, np.expand_dims, np.flip, np.fliplr,
    np.flipud, np.hsplit, np.imag, np.moveaxis, np.ravel, np.real, np.reshape, np.rollaxis,
    np.rot90, np.split, np.squeeze, np.swapaxes, np.transpose, np.vsplit,
}  # fmt: skip
# Methods whose results have a shape that values decide; that copy; that take integers as places.
UNSTEADY = {"nonzero", "compress", "repeat"}  # methods
COPYING = {"astype", "copy", "flatten", "ravel", "reshape"}
PLACING = {"reshape", "swapaxes", "transpose", "repeat", "diagonal", "resize"}  # by integers
# Functions that make arrays out of what need be no array.
MAKERS = (
    "arange", "array", "asanyarray", "asarray", "ascontiguousarray", "asfortranarray", "empty",
    "empty_like", "eye", "full", "full_like", "identity", "linspace", "ones", "ones_like", "tri",
    "zeros", "zeros_like",
)  # fmt: skip
