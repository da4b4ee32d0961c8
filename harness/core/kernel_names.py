"""Kernels' names as people write them."""

import re

_LENGTH = re.compile(r"\d{1,4}")


def shorten_kernel(name: str) -> str:
    """Return a mangled C++ name (Itanium ABI) without its arguments, other names as they are.

    Of template arguments the first functor stays: it says what an elementwise kernel computes.
    """
    if not name.startswith("_Z"):
        return name
    scopes, at = [], 3 if name.startswith("_ZN") else 2
    while found := _LENGTH.match(name, at):
        end = found.end() + int(found[0])
        scopes.append(name[found.end() : end])
        at = end
        if not name.startswith("_ZN"):
            break
    others = (name[one.end() : one.end() + int(one[0])] for one in _LENGTH.finditer(name, at))
    functor = next((other for other in others if "unctor" in other), None)
    shown = "::".join(scope for scope in scopes if scope and not scope.startswith("_GLOBAL__"))
    return f"{shown}<{functor}>" if shown and functor else shown or name
