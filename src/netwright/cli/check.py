"""`netwright check`: static findings about a config, and their mending."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.cli.options import AsJson, ConfigFile, Overrides, Trust
from netwright.cli.output import emit, quiet_stdout
from netwright.core.errors import ConfigError
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "Look over a design before a step is run. Exit code 1 when an error stands."


def command(
    config: ConfigFile,
    fix: Annotated[
        bool, typer.Option("--fix", help=say("Mend the config where that can be done; show the diff."))
    ] = False,
    overrides: Overrides = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> int:
    with quiet_stdout(as_json):
        from netwright.core.catalogs import set_trust
        from netwright.experiment.checking import check_config

        set_trust(trust)
        findings = check_config(config, overrides or ())
        diff = _mend(config, findings) if fix else ""
        if diff:
            findings = check_config(config, overrides or ())
    if as_json:
        told = [finding.to_dict() for finding in findings]
        emit({"config": config, "findings": told, "fixed": bool(diff), "diff": diff})
    else:
        _show(diff, findings)
    return 1 if any(finding.severity == "error" for finding in findings) else 0


def _mend(config: str, findings: list[Any]) -> str:
    """Apply the fixes to the file; the diff, empty where there was nothing to mend."""
    from netwright.core.records import write_text
    from netwright.experiment.checking import fix_config

    if not Path(config).is_file():
        raise ConfigError("--fix rewrites a file of yours; {config} is a gallery example, copy it first", config=config)
    text, diff = fix_config(config, findings)
    if diff:
        path = Path(config).resolve()  # a link stays one
        mode = path.stat().st_mode
        write_text(path, text)
        path.chmod(mode)
    return diff


def _show(diff: str, findings: list[Any]) -> None:
    if diff:
        print(diff.rstrip("\n") + "\n")
    for finding in findings:
        print(finding)
    if not findings:
        print(say("no findings"))
        return
    counts = Counter(finding.severity for finding in findings)
    values = {"errors": counts["error"], "warnings": counts["warning"], "notes": counts["note"]}
    print(say("errors: {errors}, warnings: {warnings}, notes: {notes}", **values))
