"""What Schemathesis cannot know: which things there are, and which requests end the session that sends them.

Choices depend on the generated values alone, so that a case can be sent again.
"""

import base64
import json
import os
import re
import uuid

import schemathesis

with open(os.environ["HUNTZEN_FUZZ"]) as file:
    # ids: by operation or collection or property; spare: tokens of people who may lose theirs
    GIVEN = json.load(file)
with open(os.environ["HUNTZEN_FUZZ_DOCUMENT"]) as file:
    EXAMPLES = set(re.findall(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", file.read()))


def made_up(value):
    """The number of an id that names nothing; others come from an answer, or are no ids."""
    try:
        number = uuid.UUID(value)
    except (AttributeError, TypeError, ValueError):
        return None
    comes_from_an_answer = number.version == 7 and value not in EXAMPLES
    return None if comes_from_an_answer else number.int


def known(value, *names):
    number = made_up(value)
    ids = next((GIVEN["ids"][name] for name in names if GIVEN["ids"].get(name)), None)
    # some stay as they are
    if number is None or ids is None or number % 8 == 0:
        return value
    return ids[number // 8 % len(ids)]


def replace(properties, *more):
    if not isinstance(properties, dict):
        return
    for name, value in properties.items():
        if isinstance(value, list):
            properties[name] = [known(item, name) for item in value]
        elif isinstance(value, dict):
            replace(value)
        else:
            properties[name] = known(value, name, *more)


def is_cursor(value):
    try:
        return json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))) is not None
    except (TypeError, ValueError):
        return False


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation
    definition = operation.definition.raw
    parts = operation.path.split("/")
    for name in case.path_parameters or {}:
        collection = parts[parts.index("{" + name + "}") - 1] if "{" + name + "}" in parts else name
        is_last = parts[-1] == "{" + name + "}" or operation.path.count("{") == 1
        names = [definition["operationId"], collection] if is_last else [collection]
        case.path_parameters[name] = known(case.path_parameters[name], *names)
    # no schema says which cursors a list gave out
    if isinstance(case.query, dict) and is_positive(case) and not is_cursor(case.query.get("cursor")):
        case.query.pop("cursor", None)
    replace(case.query)
    replace(case.body)
    takes = {parameter["name"].lower() for parameter in definition.get("parameters", [])}
    if "if-match" in takes and hash(str(case.body)) % 4:
        case.headers["If-Match"] = "*"
    if operation.path.startswith("/api/v1/auth/") and definition.get("x-roles") and operation.method.upper() != "GET":
        number = sum(str(case.body).encode()) + sum(str(case.path_parameters).encode())
        case.headers["Authorization"] = "Bearer " + GIVEN["spare"][number % len(GIVEN["spare"])]
