"""The libraries that lie beside the page are the released files, with their licences, and the page loads no others."""

import json
import re
from hashlib import sha256

from pipeline.report.folder import HERE

VENDOR = HERE / "vendor"


def test_every_file_is_the_released_one():
    listed = json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8"))
    digests = {name: of["sha256"] for package in listed.values() for name, of in package["files"].items()}
    there = {
        path.name: sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.name != "vendor.json"
    }
    assert there == digests


def test_every_library_has_its_licence_and_version():
    listed = json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8"))
    for package in listed.values():
        [licence] = [name for name in package["files"] if name.endswith(".LICENSE")]
        assert package["licence"] == "MIT"
        assert "Permission is hereby granted, free of charge" in (VENDOR / licence).read_text(encoding="utf-8")
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])


def test_the_page_loads_each_of_them():
    page = (HERE / "report.html.j2").read_text(encoding="utf-8")
    loaded = set(re.findall(r'(?:src|href)="vendor/([^"]+)"', page))
    assert loaded == {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
