"""The reference: every public name has an entry, and its docstring says what it takes and gives."""

import html
import importlib.util
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from numpydoc.docscrape import NumpyDocString

import micrograd_np as mg
from micrograd_np import numpy_protocol
from micrograd_np.compiling.compiled import Compiled
from micrograd_np.looking.graph import Graph
from micrograd_np.looking.summary import Summary
from tests.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"
ENTRY = re.compile(
    r"^\.\. auto(?:class|exception|function|method|property):: (\S+)(\n +:members:)?"
)
MADE_BY_FUNCTIONS = {
    "compiling.compiled.Compiled": Compiled,
    "looking.graph.Graph": Graph,
    "looking.summary.Summary": Summary,
}


def functions(module: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
    }


def members(cls: type) -> dict[str, Any]:
    """Return public methods and properties but for those that a public base class documents."""
    if cls is mg.Tensor:
        bases, names = [], dir(cls)
    else:
        bases, names = [b for b in cls.__mro__[1:] if b in PUBLIC_CLASSES], list(vars(cls))
    found = {name: inspect.getattr_static(cls, name) for name in names if name[0] != "_"}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, property) or callable(value)
        if not any(hasattr(base, name) for base in bases)
    }


def public_names() -> dict[str, Any]:
    found: dict[str, Any] = dict(MADE_BY_FUNCTIONS)
    for name in mg.__all__:
        value = getattr(mg, name)
        if inspect.ismodule(value):
            found |= {f"{name}.{function}": f for function, f in functions(value).items()}
        elif name != "__version__":
            found[name] = value
    for name, value in list(found.items()):
        if inspect.isclass(value):
            found |= {f"{name}.{member}": m for member, m in members(value).items()}
    return found


PUBLIC_CLASSES = {value for name in mg.__all__ if inspect.isclass(value := getattr(mg, name))}
PUBLIC = public_names()


def entries() -> list[str]:
    """Return the names that the pages of the reference have entries for."""
    found = []
    for page in sorted(REFERENCE.glob("*.md")):
        for line in re.split(r"(?m)^(?=\.\. auto)", page.read_text()):
            if entry := ENTRY.match(line):
                name = entry[1].removeprefix("micrograd_np.")
                found.append(name)
                if entry[2]:
                    found += [f"{name}.{member}" for member in members(PUBLIC[name])]
    return found


def test_every_public_name_has_one_entry_in_the_reference() -> None:
    assert sorted(entries()) == sorted(PUBLIC)


def faults(name: str, value: Any) -> list[str]:
    """Say what a docstring lacks or has too much."""
    doc = NumpyDocString(inspect.getdoc(value) or "")
    found = [] if doc["Summary"] else ["no summary"]
    if isinstance(value, property) or (inspect.isclass(value) and issubclass(value, Exception)):
        return found
    signature = inspect.signature(value)
    takes = {str(p).split(":")[0].split("=")[0] for p in signature.parameters.values()} - {"self"}
    if name in MADE_BY_FUNCTIONS:
        takes = set()
    says = {part for entry in doc["Parameters"] for part in entry.name.split(", ")}
    found += [f"{parameter} is not documented" for parameter in sorted(takes - says)]
    found += [f"{parameter} does not exist" for parameter in sorted(says - takes)]
    found += [f"nothing about {p.name}" for p in doc["Parameters"] if not "".join(p.desc).strip()]
    if not says_what_it_returns(name, value, doc):
        found.append("does not say what it returns")
    return found


def says_what_it_returns(name: str, value: Callable[..., Any], doc: NumpyDocString) -> bool:
    """Whether it returns nothing, has a section about it, or says it in its first sentence.

    Methods of tensors that run an op do so by describing the value: "Natural logarithm of x".
    """
    returns = str(inspect.signature(value).return_annotation)
    if inspect.isclass(value) or returns in ("None", "collections.abc.Iterator[None]"):
        return True
    is_op = name.startswith("Tensor.") and ("Self" in returns or returns.startswith("~"))
    words = re.compile(r"\b(Return|return|Yield|Whether)\b")
    return bool(is_op or doc["Returns"] or words.search(" ".join(doc["Summary"])))


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_says_what_it_takes_and_gives(name: str) -> None:
    assert faults(name, PUBLIC[name]) == []


def test_what_a_docstring_lacks_is_found() -> None:
    def half(x: float, *others: float, y: float = 1) -> float:
        """Halve.

        Parameters
        ----------
        x, z
            A number.
        y
        """
        return x / 2

    def silent(x: float) -> None:
        pass

    assert faults("half", half) == [
        "*others is not documented",
        "z does not exist",
        "nothing about y",
        "does not say what it returns",
    ]
    assert faults("silent", silent) == ["no summary", "x is not documented"]


def test_the_page_about_ops_has_every_numpy_function_and_method_that_tensors_take() -> None:
    page = (REFERENCE / "ops.md").read_text()
    protocol = numpy_protocol
    functions = {*protocol._UFUNCS, *protocol._METHODS, *protocol._FUNCTIONS}
    names = {function.__name__ for function in functions}
    kept = {"astype", "backward", "detach", "item", "numpy"}
    names |= {name for name, value in members(mg.Tensor).items() if callable(value)} - kept
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", page)] == []


@pytest.fixture(scope="module")
def mathml() -> Callable[[str, bool], str]:
    path = ROOT / "docs" / "_ext" / "mathml.py"
    spec = importlib.util.spec_from_file_location("mathml", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[str, bool], str] = module.mathml
    return function


def test_names_in_formulas_are_words_and_thin_spaces_part_them(
    mathml: Callable[[str, bool], str],
) -> None:
    shown = re.sub("<[^>]*>", "", mathml(r"lr \cdot weight\_decay - w_y \log max(x, 0)", False))
    assert html.unescape(shown) == "lr·weight_decay−wylogmax(x,0)"
    assert mathml(r"w_y \log p + (1 - q) lr", False).count("<mspace") == 3
    assert "<mi>x</mi><mi>y</mi>" in mathml("x y", False)


def test_formulas_of_several_lines_are_tables(mathml: Callable[[str, bool], str]) -> None:
    shown = mathml(r"g &\leftarrow a \\ v &= \frac12 b", True)
    assert shown.count("<mtr>") == 2
    assert shown.count('columnalign="left"') == 2
    assert "<mfrac><mn>1</mn><mn>2</mn></mfrac>" in shown


@pytest.mark.parametrize("latex", [r"\nonesuch x", r"\begin{nonesuch} a & b \end{nonesuch}"])
def test_a_formula_that_cannot_be_shown_is_refused(
    mathml: Callable[[str, bool], str], latex: str
) -> None:
    with pytest.raises(ValueError, match="cannot show the formula"):
        mathml(latex, True)
