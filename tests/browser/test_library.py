"""axe-core is the file that was released."""

import json
from hashlib import sha256
from pathlib import Path

VENDOR = Path(__file__).parent / "vendor"


def test_axe_is_as_released_with_its_licence():
    (library,) = json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8")).values()
    found = {
        path.name: sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.name != "vendor.json"
    }
    assert found == {name: file["sha256"] for name, file in library["files"].items()}
    assert (VENDOR / "axe.min.js").read_text(encoding="utf-8").startswith(f"/*! axe v{library['version']}")
