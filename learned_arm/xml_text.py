"""XML of unknown origin, read within bounds: no document types, so no entities, and limits of size, depth and count."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from xml.parsers import expat

from learned_arm.errors import LearnedArmError

LARGEST_BYTES = 8_000_000
DEEPEST = 64
MOST_ELEMENTS = 200_000


def parse_xml(text: str | bytes, where: object) -> ElementTree.Element:
    """The root element of a document; comments and processing instructions are left out.

    Raises:
        LearnedArmError: It is too large, nested too deep, declares a document type, or is not well-formed.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > LARGEST_BYTES:
        raise LearnedArmError("XML too large", where=where, got=len(data), allowed=f"{LARGEST_BYTES} bytes")
    builder = ElementTree.TreeBuilder()
    depth = count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > DEEPEST or count > MOST_ELEMENTS:
            limits = f"{DEEPEST} levels and {MOST_ELEMENTS} elements"
            raise LearnedArmError("XML too deep or too long", where=where, got=f"<{tag}>", allowed=limits)
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def document_type(name: str, *_: object) -> None:
        raise LearnedArmError("XML declares a document type", where=where, got=name, allowed="none")

    parser = expat.ParserCreate("utf-8" if isinstance(text, str) else None)
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = document_type
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, LearnedArmError):
            raise
        raise LearnedArmError("not well-formed XML", where=where, got=str(error)) from error
    return builder.close()
