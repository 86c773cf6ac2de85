"""Documents that lie are bugs: settings, links and files that documents name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from node_service.api.app import ROUTERS
from node_service.settings import OTHER_PROGRAMS, PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FOLDERS = ("domain", "chaincode", "network", "offchain", "node_service", "patient_wallet", "yilian", "tests", "docs")
_METHOD = "(?:GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE)"


def test_every_setting_is_documented_and_nothing_else() -> None:
    table = (ROOT / "docs" / "operations.md").read_text()
    documented = dict(re.findall(r"^\| `(YILIAN_[A-Z_]+)` \| (.*?) \|", table, re.MULTILINE))
    assert set(documented) == {PREFIX + name.upper() for name in Settings.model_fields} | set(OTHER_PROGRAMS)


def test_settings_are_documented_with_their_defaults() -> None:
    table = (ROOT / "docs" / "operations.md").read_text()
    for name, field in Settings.model_fields.items():
        default = (
            "required" if field.is_required() else f"`{field.default}`" if field.default not in ((), None) else "none"
        )
        row = re.search(rf"^\| `{PREFIX}{name.upper()}` \| (.*?) \| (.*?) \|", table, re.MULTILINE)
        assert row is not None
        assert row[1] == ("empty" if default == "``" else default), name
        assert row[2] == field.description, name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    missing = [t for t in targets if "://" not in t and not (document.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if path.name != "CHANGELOG.md"],  # it also names what was
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_files_that_a_document_names_exist(document: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[A-Za-z0-9_./-]*)`", document.read_text())
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_every_route_is_documented_and_no_other() -> None:
    rows = (ROOT / "docs" / "formats" / "http.md").read_text()
    written = re.findall(rf"`({_METHOD}(?:/{_METHOD})*) (/[^`?]*)", rows)
    documented = {(method, unnamed(path)) for methods, path in written for method in methods.split("/")}
    served = {
        (method, unnamed(route.path))
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert served == documented


def unnamed(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)
