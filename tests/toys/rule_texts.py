"""What the rules say, read as text: no Snakemake is needed to compare code with them."""

import re

from toys.project_sources import ROOT


def rule_texts() -> dict[str, str]:
    """The text of every rule, by its name."""
    found = {}
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for text in file.read_text(encoding="utf-8").split("\nrule ")[1:]:
            found[text.partition(":")[0]] = text
    return found


def output_kinds(rule_text: str) -> set[str]:
    """The kinds of artifacts that a rule makes."""
    output = rule_text.partition("\n    output:")[2].partition("\n    log:")[0]
    return set(re.findall(r'artifact\("(\w+)"\)', output))


def flags(rule_text: str, stage: str) -> set[str]:
    """The arguments that the command of a rule gives to its stage, spelt as in the stage's signature."""
    command = rule_text.partition(f"-m pipeline {stage} ")[2]
    return {flag.replace("-", "_") for flag in re.findall(r"^\s+--([a-z-]+)", command, re.MULTILINE)}
