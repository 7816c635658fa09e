"""Compile R4's definitions into the tables of `fhir_server/spec`.

    npm pack hl7.fhir.r4.examples@4.0.1 && tar xzf hl7.fhir.r4.examples-4.0.1.tgz
    python tools/compile_spec.py package

The package (CC0) holds every definition of R4. Facts are taken over, descriptions are not. The same package
gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "fhir_server" / "spec"
CORE = "http://hl7.org/fhir/"
FHIR_TYPE = CORE + "StructureDefinition/structuredefinition-fhir-type"
REGEX = CORE + "StructureDefinition/regex"
PSEUDO_PARAMETERS = (
    "_type", "_id", "_lastUpdated", "_profile", "_tag", "_security", "_source", "_text", "_content", "_list", "_has",
)  # fmt: skip
FIRST_NUMBER = 16
"""Numbers below are the stores' own."""

Json = dict[str, Any]


def load(package: Path, resource_type: str) -> list[Json]:
    files = sorted(package.glob(f"{resource_type}-*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


# -- structures ------------------------------------------------------------------------------------------------


def structures(package: Path, codes: Codes) -> Json:
    """name -> {kind, base, regex?, elements: {path: facts}}; only R4's own types."""
    found: Json = {}
    for definition in load(package, "StructureDefinition"):
        name = definition.get("type", "")
        if definition.get("derivation") == "constraint" or definition["url"] != f"{CORE}StructureDefinition/{name}":
            continue
        if definition["kind"] == "logical":
            continue
        found[name] = structure(definition, codes)
    return found


def structure(definition: Json, codes: Codes) -> Json:
    name = definition["type"]
    facts: Json = {"kind": definition["kind"], "abstract": definition["abstract"]}
    if base := definition.get("baseDefinition"):
        facts["base"] = base.rpartition("/")[2]
    elements = {}
    for item in definition["snapshot"]["element"]:
        if definition["kind"] == "primitive-type" and item["path"] == f"{name}.value":
            facts["regex"] = regex(item)
        elements[item["path"]] = element(item, codes)
    facts["elements"] = elements
    return facts


def regex(item: Json) -> str | None:
    for extension in item["type"][0].get("extension", []):
        if extension["url"] == REGEX:
            return str(extension["valueString"])
    return None


def element(item: Json, codes: Codes) -> Json:
    facts: Json = {"min": item["min"], "max": item["max"]}
    types, targets = [], []
    for declared in item.get("type", []):
        types.append(type_name(item, declared))
        targets += [target.rpartition("/")[2] for target in declared.get("targetProfile", [])]
    if types:
        facts["types"] = types
    if targets:
        facts["targets"] = sorted(set(targets))
    if reference := item.get("contentReference"):
        facts["content"] = reference.lstrip("#")
    if item.get("isSummary"):
        facts["summary"] = True
    if item.get("isModifier"):
        facts["modifier"] = True
    binding = item.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        facts["binding"] = codes.use(binding["valueSet"], "code" in types)
    constraints = [
        [rule["key"], rule["severity"], rule["expression"]]
        for rule in item.get("constraint", [])
        if "expression" in rule and rule["key"] not in ("ele-1", "ext-1")
    ]
    if constraints:
        facts["invariants"] = constraints
    return facts


def type_name(item: Json, declared: Json) -> str:
    for extension in declared.get("extension", []):
        if extension["url"] == FHIR_TYPE:
            # R4's snapshots say string for Resource.id, whose type is id (resource.html).
            resource_id = item["base"]["path"] == "Resource.id"
            return "id" if resource_id else str(extension.get("valueUrl", extension.get("valueUri")))
    return str(declared["code"]).rpartition("/")[2]


class Codes:
    """Code lists of required bindings, by value set."""

    def __init__(self, package: Path) -> None:
        self.systems = {system["url"]: system for system in load(package, "CodeSystem")}
        self.sets = {value_set["url"]: value_set for value_set in load(package, "ValueSet")}
        self.used: Json = {}

    def use(self, canonical: str, wanted: bool) -> str:
        url = canonical.partition("|")[0]
        if wanted and url not in self.used and (expanded := self.expand(url)):
            self.used[url] = expanded
        return url

    def expand(self, url: str) -> Json | None:
        """system -> codes; None when the set cannot be listed from the package."""
        value_set = self.sets.get(url)
        if value_set is None or "exclude" in value_set.get("compose", {}):
            return None
        found: dict[str, list[str]] = {}
        for include in value_set.get("compose", {}).get("include", []):
            part = self.include(include)
            if part is None:
                return None
            for system, codes in part.items():
                found.setdefault(system, []).extend(code for code in codes if code not in found.get(system, []))
        return found or None

    def include(self, include: Json) -> dict[str, list[str]] | None:
        if "filter" in include:
            return None
        if "valueSet" in include:
            parts = [self.expand(url.partition("|")[0]) for url in include["valueSet"]]
            if "system" in include or any(part is None for part in parts):
                return None
            return {system: codes for part in parts if part for system, codes in part.items()}
        if "concept" in include:
            return {include["system"]: [concept["code"] for concept in include["concept"]]}
        system = self.systems.get(include["system"])
        if system is None or system.get("content") != "complete":
            return None
        return {include["system"]: list(concepts(system.get("concept", [])))}


def concepts(tree: list[Json]) -> list[str]:
    return [code for concept in tree for code in (concept["code"], *concepts(concept.get("concept", [])))]


# -- search parameters -----------------------------------------------------------------------------------------


def search_parameters(package: Path, types: Json) -> Json:
    """type -> code -> {number, type, expression, targets, components, url}.

    R4's own parameters are those whose url is `SearchParameter/` + base or group + `-` + code; the package's
    examples and those of other guides have other urls or no base.
    """
    resources = sorted(n for n, facts in types.items() if facts["kind"] == "resource" and not facts["abstract"])
    declared = [p for p in load(package, "SearchParameter") if own_parameter(p)]
    by_url = {p["url"]: p for p in declared}
    found: Json = {name: {} for name in resources}
    for parameter in declared:
        for name in bases(parameter, resources, types):
            found[name][parameter["code"]] = facts_of(parameter, name, by_url)
    for code in PSEUDO_PARAMETERS:
        for name in resources:
            found[name].setdefault(code, {"type": "special"})
    pairs = sorted((name, code) for name, own in found.items() for code in own)
    for number, (name, code) in enumerate(pairs, start=FIRST_NUMBER):
        found[name][code]["number"] = number
    return {name: dict(sorted(own.items())) for name, own in found.items()}


GROUPS = ("clinical", "individual", "conformance", "medications")


def own_parameter(parameter: Json) -> bool:
    prefix = f"{CORE}SearchParameter/"
    if not parameter["url"].startswith(prefix) or "base" not in parameter:
        return False
    starts = [*GROUPS, *parameter["base"]]
    if parameter["code"].startswith("_"):
        return any(parameter["url"] == f"{prefix}{start}-{parameter['code'][1:]}" for start in starts) or any(
            parameter["url"] == f"{prefix}{start}-{parameter['code']}" for start in starts
        )
    return any(parameter["url"] == f"{prefix}{start}-{parameter['code']}" for start in starts)


def bases(parameter: Json, resources: list[str], types: Json) -> list[str]:
    names: list[str] = []
    for base in parameter["base"]:
        if base in ("Resource", "DomainResource"):
            names += [n for n in resources if base == "Resource" or types[n].get("base") == "DomainResource"]
        elif base in resources:
            names.append(base)
    return names


def facts_of(parameter: Json, name: str, by_url: Json) -> Json:
    facts: Json = {"type": parameter["type"], "url": parameter["url"]}
    if expression := parameter.get("expression"):
        facts["expression"] = narrowed(expression, name)
    if targets := parameter.get("target"):
        facts["targets"] = sorted(targets)
    if components := parameter.get("component"):
        facts["components"] = [
            {
                "code": by_url[part["definition"]]["code"],
                "type": by_url[part["definition"]]["type"],
                "expression": part["expression"],
            }
            for part in components
        ]
    return facts


def narrowed(expression: str, name: str) -> str:
    """The alternatives of a union that start at this resource type (or at Resource, DomainResource or nowhere)."""
    alternatives = union(expression)
    own = [a for a in alternatives if re.match(rf"\(*{name}\b", a)]
    general = [a for a in alternatives if not re.match(r"\(*[A-Z]\w*", a) or re.match(r"\(*(Domain)?Resource\b", a)]
    return " | ".join(own or general or alternatives)


def union(expression: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for n, character in enumerate(expression):
        depth += (character in "([") - (character in ")]")
        if character == "|" and depth == 0:
            parts.append(expression[start:n].strip())
            start = n + 1
    return [*parts, expression[start:].strip()]


# -- the rest --------------------------------------------------------------------------------------------------


def compartments(package: Path) -> Json:
    return {
        definition["code"]: {
            resource["code"]: resource["param"] for resource in definition["resource"] if resource.get("param")
        }
        for definition in load(package, "CompartmentDefinition")
        if definition["url"] == f"{CORE}CompartmentDefinition/{definition['code'][0].lower()}{definition['code'][1:]}"
    }


PUBLISHERS = (CORE, "http://terminology.hl7.org/")
NAMED = ("StructureDefinition", "ValueSet", "OperationDefinition", "ConceptMap")


def published(package: Path, codes: Codes) -> Json:
    """The canonical URLs of what R4 defines, by kind; of the code systems that are complete with their codes."""
    found: Json = {
        kind: sorted({one["url"] for one in load(package, kind) if one.get("url", "").startswith(PUBLISHERS)})
        for kind in NAMED
    }
    found["CodeSystem"] = {
        url: concepts(system.get("concept", [])) if system.get("content") == "complete" else None
        for url, system in sorted(codes.systems.items())
        if url.startswith(PUBLISHERS)
    }
    return found


def write(name: str, content: Any) -> Json:
    data = json.dumps(content, separators=(",", ":"), ensure_ascii=False, sort_keys=False).encode() + b"\n"
    (TARGET / name).write_bytes(data)
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def main(package: Path) -> None:
    about = json.loads((package / "package.json").read_text())
    codes = Codes(package)
    types = structures(package, codes)
    files = {
        "structures.json": write("structures.json", dict(sorted(types.items()))),
        "codes.json": write("codes.json", dict(sorted(codes.used.items()))),
        "search_parameters.json": write("search_parameters.json", search_parameters(package, types)),
        "compartments.json": write("compartments.json", compartments(package)),
        "published.json": write("published.json", published(package, codes)),
    }
    source = {key: about[key] for key in ("name", "version", "license")}
    manifest = {"source": source, "script": "tools/compile_spec.py", "files": files}
    (TARGET / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
