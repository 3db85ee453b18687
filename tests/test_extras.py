"""Extras: what is installed is imported, and of what is missing the message says how to get it."""

import sys
from typing import Any

import pytest

from micrograd_np.extras import extra


def test_what_is_installed_is_imported() -> None:
    assert extra("json", "plot", "somebody") is sys.modules["json"]
    assert extra("os.path", "plot", "somebody") is sys.modules["os.path"]


@pytest.mark.parametrize("module", ["there_is_none", "there_is_none.inside"])
def test_what_is_missing_is_named_with_the_command_that_installs_it(module: str) -> None:
    with pytest.raises(ImportError) as caught:
        extra(module, "plot", "plot_history")
    assert str(caught.value).startswith(
        "plot_history needs there_is_none; install it with: pip install 'micrograd_np[plot]' "
        f"(import {module} failed: No module named 'there_is_none'"
    )
    assert caught.value.name == "there_is_none"
    assert isinstance(caught.value.__cause__, ImportError)


def test_a_package_that_is_broken_is_no_other_fault(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "half_installed.py").write_text("import its_missing_part\n")
    with pytest.raises(ImportError, match=r"failed: No module named 'its_missing_part'\)"):
        extra("half_installed", "plot", "somebody")
    (tmp_path / "with_a_fault.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        extra("with_a_fault", "plot", "somebody")
