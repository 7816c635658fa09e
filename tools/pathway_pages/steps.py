"""The table of a pathway: one line per step, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from tools.pathway_pages.shipped import Json, Shipped, actions, days_of, event_of, extension

_KINDS = {
    "questionnaire": "Questionnaire",
    "view-resource": "Something to read",
    "decision-aid": "Decision aid",
    "exercise": "Exercise",
    "appointment": "Appointment",
    "review": "Task",
    "message": "Message",
}
_UNITS = {"d": "day", "wk": "week", "mo": "month", "a": "year"}
_WHOLE = {91: "3 months", 183: "6 months", 335: "11 months", 365: "12 months"}


def rows(shipped: Shipped, plan: Json, sources: list[str]) -> Iterator[tuple[str, ...]]:
    """`sources` collects what the steps rest on, in order."""
    titles = {action["id"]: f"step {action['prefix']} ({action['title']})" for action in actions(plan)}
    for action in plan["action"]:
        yield from _rows(shipped, action, titles, sources)


def _rows(shipped: Shipped, action: Json, titles: dict[str, str], sources: list[str]) -> Iterator[tuple[str, ...]]:
    name = action["title"] + (f". {action['description']}" if "description" in action else "")
    basis = _basis(action, sources)
    conditions = "; ".join(_condition(one) for one in action.get("condition", ()))
    if "action" in action:
        yield action["prefix"], f"**{name}**", _when(shipped, action, titles), "", conditions, basis
        for child in action["action"]:
            yield from _rows(shipped, child, titles, sources)
        return
    activity = shipped.named(action["definitionCanonical"])
    kind = action["code"][0]["coding"][0]["code"]
    who = "patient" if {"type": "patient"} in activity["participant"] else "staff"
    what = "Request" if activity["kind"] == "ServiceRequest" else _KINDS[kind]
    urgent = f", {action['priority']}" if "priority" in action else ""
    named = name.removeprefix("Answer: ")
    step = named if named.startswith(what) else f"{what}: {named}"
    yield action["prefix"], step, _when(shipped, action, titles), f"{who}{urgent}", conditions, basis


def _condition(condition: Json) -> str:
    return str(condition["expression"]["description"]).removesuffix(".")


def _basis(action: Json, sources: list[str]) -> str:
    numbers = []
    for artifact in action.get("documentation", ()):
        source = artifact["citation"] + (f" <{artifact['url']}>" if "url" in artifact else "")
        if source not in sources:
            sources.append(source)
        numbers.append(str(sources.index(source) + 1))
    return ", ".join(numbers) or "sample"


def _when(shipped: Shipped, action: Json, titles: dict[str, str]) -> str:
    starts = []
    event = event_of(action)
    if event:
        offset = days_of(extension(action, "msk-step-anchor"), "offset")
        starts.append(_counted(offset, shipped.event(event), "on the day of: {}"))
    for related in action.get("relatedAction", ()):
        offset = int(related.get("offsetDuration", {}).get("value", 0))
        starts.append(_counted(offset, f"{titles[related['actionId']]} is over", "as soon as {}"))
    window = extension(action, "msk-window")
    if not starts and window is None:
        return "at any time" if "definitionCanonical" in action else ""
    start = " and ".join(starts) or "with its group"
    again = _repeated(action)
    return f"{start}{again}{_window(days_of(window, 'before'), days_of(window, 'after')) if window else ''}"


def _counted(offset: int, what: str, at_once: str) -> str:
    if offset == 0:
        return at_once.format(what)
    return f"{_length(abs(offset))} {'after' if offset > 0 else 'before'}: {what}"


def _window(before: int, after: int) -> str:
    if before and after:
        return f"; from {_length(before)} before to {_length(after)} after"
    if after:
        return f"; open for {_length(after)}"
    return "; the same day" if not before else f"; from {_length(before)} before"


def _repeated(action: Json) -> str:
    repeat = action.get("timingTiming", {}).get("repeat")
    if repeat is None:
        return ""
    unit = _UNITS[repeat["periodUnit"]]
    each = f"each {unit}" if repeat["period"] == 1 else f"every {repeat['period']} {unit}s"
    return f", then {each}, {repeat['count']} times in all"


def _length(days: int) -> str:
    if days in _WHOLE:
        return _WHOLE[days]
    if days % 7 == 0:
        return "1 week" if days == 7 else f"{days // 7} weeks"
    return "1 day" if days == 1 else f"{days} days"
