"""What a part raises that must not go on in silence."""


class HookRefusal(Exception):  # noqa: N818 - names what happened
    """A part cannot do what was asked for, and the attempt must not go on as if it had."""
