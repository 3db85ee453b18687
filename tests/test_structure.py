"""The house: imports go down the stairs only, the public names are listed, the core needs NumPy."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

PACKAGE = Path(mg.__file__).parent
STAIRS = [
    {"checks", "extras", "ops", "parameters"},
    {"clipping", "initializers", "operations", "schedules", "tape"},
    {"numpy_protocol", "optimizers"},
    {"tensor"},
    {"losses", "gradcheck", "layers"},
    {"trace"},
    {"looking", "saving"},
    {"compiling"},
    {"training"},
    {"__init__"},
]
MODULES = sorted(PACKAGE.rglob("*.py"))


def floor(module: str) -> int:
    return next(i for i, names in enumerate(STAIRS) if module in names)


def own_imports(path: Path) -> set[str]:
    """Return the modules and folders directly in the package that a file imports from."""
    found = set()
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            found |= {node.module.split(".")[0]} if node.module else {a.name for a in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_the_stairs(path: Path) -> None:
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for imported in own_imports(path) - {name}:
        assert floor(imported) < floor(name), f"{name} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_import_stands_inside_a_function_and_none_is_foreign(path: Path) -> None:
    tree = ast.parse(path.read_text())
    statements = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert all(statement in tree.body for statement in statements)
    for statement in statements:
        if isinstance(statement, ast.ImportFrom):
            names = [] if statement.level else [str(statement.module)]
        else:
            names = [alias.name for alias in statement.names]
        for name in names:
            top = name.split(".")[0]
            assert top == "numpy" or top in sys.stdlib_module_names


def test_the_layering_test_sees_an_import_that_climbs(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "bad.py").write_text("from ..tensor import Tensor\nfrom .. import losses\n")
    (tmp_path / "tape.py").write_text("from .layers.linear import Linear\n")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert own_imports(tmp_path / "ops" / "bad.py") == {"tensor", "losses"}
    assert own_imports(tmp_path / "tape.py") == {"layers"}


def test_every_public_name_is_listed_and_documented() -> None:
    assert len(mg.__all__) == len(set(mg.__all__))
    parts = [mg.layers.__all__, mg.training.__all__, mg.saving.__all__, mg.looking.__all__]
    parts += [mg.compiling.__all__]
    own = [name for name in mg.__all__ if not any(name in part for part in parts)]
    for names in (own, *parts):
        assert names == sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    modules = set().union(*STAIRS) - {"gradcheck", "initializers", "schedules"}
    public = {name for name in vars(mg) if not name.startswith("_")} - modules
    assert public | {"__version__"} == set(mg.__all__)
    for name in mg.__all__:
        assert name == "__version__" or getattr(mg, name).__doc__, name


def test_importing_the_package_imports_numpys_core_and_nothing_else_foreign() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules); import micrograd_np;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "foreign = new - set(sys.stdlib_module_names) - {'numpy'};"
        "print(sorted(foreign), 'numpy.random' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    numpy_itself_has_it = np.__version__ < "2"
    assert run.stdout == f"['micrograd_np'] {numpy_itself_has_it}\n"


def test_no_file_is_longer_than_300_lines_of_code() -> None:
    for path in MODULES:
        assert len(code_lines(path)) <= 300, path


def code_lines(path: Path) -> set[int]:
    """Return the numbers of lines that are neither blank nor comment nor docstring."""
    tree = ast.parse(path.read_text())
    lines = {
        i
        for i, line in enumerate(path.read_text().splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    }
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def test_layers_losses_and_optimizers_are_public() -> None:
    defined = {
        name
        for path in [*PACKAGE.glob("layers/*.py"), PACKAGE / "losses.py", PACKAGE / "optimizers.py"]
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.ClassDef | ast.FunctionDef)
        and not statement.name.startswith("_")
        and (name := statement.name)
    }
    helpers = {"check_layer", "contents", "dropout_mask", "in_mode", "parameter", "unchanged"}
    assert defined - set(mg.__all__) <= helpers
