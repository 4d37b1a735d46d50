"""``rui model new-augment``: a module of the operator's own, that adds a leaf to every user's record."""

import json
import re
import sys
import textwrap
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rui_cli.errors import CliError, ExitCode
from rui_cli.modelcheck import lint, print_findings, trial, working

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MODULE = """module {module} {{
  yang-version 1.1;
  namespace "urn:{module}";
  prefix {prefix};

  import rui-user-info {{
    prefix ui;
  }}

  organization
    "{organization}";
  contact
    "{organization}";
  description
    "What {organization} keeps of a user besides.";

  revision {today} {{
    description
      "Initial revision.";
    reference
      "{organization}";
  }}

  augment "/ui:user-info/ui:group/ui:user" {{
    description
      "Travels with the record; a receiver without this module keeps
       it.";
    leaf {leaf} {{
      type {type};
      description
{description}
    }}
  }}
}}
"""


def new_augment(
    leaf: Annotated[str, typer.Argument(help="Name of the new leaf, such as pppoe-session-id.")],
    *,
    yang_type: Annotated[str, typer.Option("--type", help="Its YANG type.")] = "string",
    description: Annotated[str, typer.Option(help="What it means, one sentence.")] = "",
    module: Annotated[str, typer.Option(help="Name of the module. Default: own-LEAF.")] = "",
    organization: Annotated[str, typer.Option(help="Whose module it is.")] = "The operator",
    yang: Annotated[Path, typer.Option(help="Folder to write it to; made if missing.")] = Path("yang"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a module that adds a leaf to every user's record, and check it."""
    name = module or f"own-{leaf}"
    for text in (leaf, name):
        if _NAME.fullmatch(text) is None:
            raise CliError(
                f"{text!r} is no YANG identifier",
                remedy="letters, digits, - and _, not beginning with a digit",
                exit_code=ExitCode.USAGE,
            )
    text = description or f"The user's {leaf.replace('-', ' ')}."
    if '"' in text + yang_type + organization or "\\" in text + organization:
        raise CliError("a description, type or organization holds a quote", remedy="leave quotes out")
    file = yang / f"{name}.yang"
    if file.exists():
        raise CliError(f"{file} is there already", remedy="edit it, or choose another --module")
    lines = textwrap.wrap(text, 60)
    quoted = "\n".join(f'        "{line}' if not at else f"         {line}" for at, line in enumerate(lines))
    yang.mkdir(parents=True, exist_ok=True)
    file.write_text(
        _MODULE.format(
            module=name,
            prefix="".join(part[0] for part in name.split("-") if part),
            organization=organization,
            today=datetime.now(UTC).date().isoformat(),
            leaf=leaf,
            type=yang_type,
            description=f'{quoted}";',
        ),
        encoding="utf-8",
    )
    with working("checking the module"):
        findings = [*dict.fromkeys(lint(yang)), *trial(yang)]
    if as_json:
        report = {"ok": not findings, "file": str(file), "findings": [asdict(found) for found in findings]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        console = Console(soft_wrap=True, highlight=False)
        print_findings(console, findings)
        verdict = "has to be corrected" if findings else f"start routers and manager with --yang {yang}"
        console.print(f"{file} is written; {verdict}", markup=False)
    raise typer.Exit(ExitCode.CHECK_FAILED if findings else ExitCode.OK)
