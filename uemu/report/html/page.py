"""The frame of every page: one file, its styles and scripts inside.

A template extends ``frame.html`` and fills its blocks: ``title``, ``lead`` (a
few words below the heading), ``tools`` (beside the switch of the theme) and
``main``. What comes in is text, and is escaped; markup comes from templates
alone.

The policy that a page carries allows the styles and scripts that it was
written with, by their hashes, and no other: nothing is loaded, and what slipped
in as text would not run. So a template has no ``style=`` and no ``onclick=``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

STYLES = ("theme.css", "frame.css")
SCRIPTS = ("theme.js",)
"""What every page has, of ``assets``."""


def render_page(
    template: str, *, styles: Iterable[str] = (), scripts: Iterable[str] = (), **content: object
) -> str:
    """Render a template of ``templates`` as a document of its own.

    Args:
        styles, scripts: what it needs of ``assets``, beside `STYLES` and `SCRIPTS`.
        content: what the template shows; a name that it uses must be there.
    """
    style, script = _joined((*STYLES, *styles)), _joined((*SCRIPTS, *scripts))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(style=Markup(style), script=Markup(script), policy=policy, **content)
    )


def render_part(template: str, **content: object) -> Markup:
    """Render a template that is part of a page: markup, to be content of another one."""
    return Markup(_environment().get_template(template).render(**content))


def _joined(names: Iterable[str]) -> str:
    assets = files(__package__) / "assets"
    return "\n" + "\n".join((assets / name).read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    """As a Content Security Policy names what is between two tags."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
