"""Members: steps over raw JSON values, and over nodes."""

from __future__ import annotations

from typing import Any

from fhir_server.fhirpath.code import Code, Path, RawRun, Run, Scalar, Step
from fhir_server.fhirpath.evaluation import Evaluation
from fhir_server.fhirpath.node import Item, Node, TypeName, add_children
from fhir_server.fhirpath.values import system


def node_member(source: Run, name: str) -> Run:
    """A member over items of any type."""

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        out: list[Item] = []
        for item in source(evaluation, this):
            if type(item) is Node:
                members = item.type.members[name]
                if members:
                    add_children(out, item.content, members, item)
                elif name == "value" and item.type.is_primitive and item.value is not None:
                    out.append(system(item))
            elif type(item) is TypeName and name in ("namespace", "name"):
                out.append(getattr(item, name))
        return evaluation.keep(out)

    return run


def path_code(base: RawRun | None, steps: tuple[Step, ...]) -> Code:
    """Members over raw values."""
    last = steps[-1]
    # What a resource is, each value says itself.
    types = None if any(member.type.is_resource for member in last) else tuple(member.type for member in last)
    plain = base is None and all(len(step) == 1 and not step[0].many for step in steps)
    return Code(
        types,
        raw=_walk(base, steps),
        one=_walk_one(tuple(step[0].key for step in steps)) if plain else None,
        items=_walk_to_nodes(base, steps),
        path=Path(base, steps),
        pure=base is None,
    )


def _walk_one(keys: tuple[str, ...]) -> Scalar:
    *before, last = keys
    if not before:
        return lambda evaluation, this: this.get(last)

    def run(evaluation: Evaluation, this: Any) -> Any:
        for key in before:
            this = this.get(key)
            if this is None:
                return None
        return this.get(last)

    return run


def _walk(base: RawRun | None, steps: tuple[Step, ...]) -> RawRun:
    """All values at the end of the steps."""
    *before, last = steps
    prefix = _prefix(base, tuple(before))
    if len(last) > 1:
        return _last_choice(prefix, last)
    return _last_member(prefix, last[0].key, last[0].extra_key)


def _prefix(base: RawRun | None, steps: tuple[Step, ...]) -> RawRun | None:
    """The values the last step starts from; None: `$this` alone."""
    return _walk(base, steps) if steps else base


def _last_member(prefix: RawRun | None, key: str, extra_key: str) -> RawRun:
    """`extra_key`: where the extensions of a primitive stand; "" for any other type."""
    if prefix is None:

        def run_here(evaluation: Evaluation, this: Any) -> list[Any]:
            value = this.get(key)
            if extra_key and extra_key in this:
                return _values_with(value, this[extra_key])
            if value is None:
                return []
            return value if type(value) is list else [value]

        return run_here

    def run(evaluation: Evaluation, this: Any) -> list[Any]:
        out: list[Any] = []
        for parent in prefix(evaluation, this):
            value = parent.get(key)
            if extra_key and extra_key in parent:
                out += _values_with(value, parent[extra_key])
            elif value is not None:
                if type(value) is list:
                    out += value
                else:
                    out.append(value)
        return out

    return run


def _values_with(value: Any, extra: Any) -> list[Any]:
    """The values of a primitive that has ids or extensions; None for each that has no value besides."""
    if type(value) is list or type(extra) is list:
        values = value if type(value) is list else []
        extras = extra if type(extra) is list else []
        size = max(len(values), len(extras))
        pairs = zip((*values, *[None] * (size - len(values))), (*extras, *[None] * (size - len(extras))), strict=True)
        return [v for v, x in pairs if v is not None or x is not None]
    return [value] if value is not None or extra is not None else []


def _last_choice(prefix: RawRun | None, step: Step) -> RawRun:
    keys = {member.key: "" for member in step} | {member.extra_key: member.key for member in step if member.extra_key}

    def run(evaluation: Evaluation, this: Any) -> list[Any]:
        out: list[Any] = []
        for parent in (this,) if prefix is None else prefix(evaluation, this):
            for key in keys.keys() & parent.keys():
                owner = keys[key]
                if not owner:
                    value = parent[key]
                    if type(value) is list:
                        out += value
                    else:
                        out.append(value)
                elif owner not in parent:
                    out.append(None)
        return out

    return run


def _walk_to_nodes(base: RawRun | None, steps: tuple[Step, ...]) -> Run:
    """Nodes at the end of the steps; they know their extensions, but not what they stand in."""
    last = steps[-1]
    prefix = _prefix(base, steps[:-1])

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        out: list[Item] = []
        for parent in (this,) if prefix is None else prefix(evaluation, this):
            add_children(out, parent, last, None)
        return out

    return run
