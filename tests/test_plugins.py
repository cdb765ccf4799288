from pathlib import Path

import pytest

from misalign_eval import plugins
from misalign_eval.errors import UsageError


def test_the_checkout_is_used_when_the_package_lies_in_it() -> None:
    checkout = Path(plugins.__file__).parent.parent
    assert plugins.suites_dir() == checkout / "suites"
    assert plugins.graders_dir() == checkout / "graders"


def test_an_installed_wheel_uses_what_is_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "misalign_eval"
    (package / "_bundled" / "suites").mkdir(parents=True)
    monkeypatch.setattr(plugins, "_PACKAGE", package)
    assert plugins.suites_dir() == package / "_bundled" / "suites"


def test_a_folder_of_that_name_beside_an_installed_package_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suites").mkdir()
    monkeypatch.setattr(plugins, "_PACKAGE", tmp_path / "misalign_eval")
    with pytest.raises(UsageError, match="has no `suites` folder"):
        plugins.suites_dir()
