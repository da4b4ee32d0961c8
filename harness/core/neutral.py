"""Text from tests made inert in GitHub's Markdown and in a workflow's log. Pure.

Markdown's own characters become character references, which a renderer shows and never obeys.
What GitHub makes links and images of after rendering (mentions, issue numbers, addresses, emoji
names) a reference alone does not stop, since it is decoded by then: a zero-width space, written
`&#8203;` so that it can be seen in the source, stands inside. Spaces, letters and `test_names` stay
as they are.
"""

import re
import unicodedata

_ESCAPES = re.compile(
    # OSC (titles, hyperlinks), DCS, SOS, PM and APC with their content, up to a terminator;
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
    # CSI (colour, cursor); what is left of an escape, or of one that never ends.
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]?"
)

#: Drawn as nothing, though Unicode counts them among marks and letters.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0]")
_WIDTHLESS = "\u200b"

#: Between what would be a link, an image or a command if it stood together.
_BREAKS = re.compile(
    r"(?<=[@#])(?! )"  # mentions and addresses of mail, issues, ##[commands]
    r"|(?<=:)(?=//)|(?<=[wW]{3})(?=\.)"  # links without brackets
    r"|(?<=[gG][hH]-)(?=[0-9])"  # GH-12 is an issue too
    r"|(?<=:)(?=[a-z0-9_+-]+:)"  # :white_check_mark:
)

_REFERENCES = {c: f"&#{ord(c)};" for c in "\\`*[]|~#$" + _WIDTHLESS} | {
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
}
#: Underscores inside a word make no emphasis, and test names are full of them.
_OUTER_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
#: What makes a list, a heading, a rule or a workflow command at the start of a line.
_START = re.compile(r"[-+=:]|[0-9]+(?=[.)])")
_CUT = "…"


def neutral(text: str, limit: int = 300) -> str:
    """`text` on one line, inert in a paragraph, list item, table cell or `<code>`, and in a log.

    At most `limit` characters, references counted as written; what was cut off shows as `…`.
    Terminal escapes, invisible and direction-changing characters are left out, other characters
    that cannot be drawn show as U+FFFD, and any white space is one space. It is no safe value for
    an HTML attribute. Never raises.
    """
    known = text[: 16 * max(limit, 0) + 1024]
    written = _write_out(_BREAKS.sub(_WIDTHLESS, _plain(known)))
    if len(known) == len(text) and sum(map(len, written)) <= limit:
        return "".join(written)
    kept, room = [], limit - len(_CUT)
    for part in written:
        room -= len(part)
        if room < 0:
            break
        kept.append(part)
    return ("".join(kept) + _CUT)[: max(limit, 0)]


def _plain(text: str) -> str:
    """One line of what can be seen."""
    visible = _INVISIBLE.sub("", _ESCAPES.sub("", text))
    return " ".join("".join(map(_show, visible)).split())


def _show(char: str) -> str:
    if char.isspace():
        return " "
    category = unicodedata.category(char)
    if category in ("Cc", "Cf"):
        return ""
    return "\ufffd" if category in ("Cs", "Co", "Cn") else char


def _write_out(text: str) -> list[str]:
    """Each character as it is written in Markdown."""
    parts = [_REFERENCES.get(char, char) for char in text]
    marks = [found.start() for found in _OUTER_UNDERSCORE.finditer(text)]
    if start := _START.match(text):
        marks.append(start.end() if start[0].isdigit() else 0)
    for index in marks:
        parts[index] = f"&#{ord(text[index])};"
    return parts
