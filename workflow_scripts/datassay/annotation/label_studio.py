"""Label Studio: tasks with suggestions, the labelling interface, and its exports (JSON and JSON-MIN)."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from datassay.annotation.found import Answer, Fault, Found
from datassay.data.checks import shown

if TYPE_CHECKING:
    import pandas as pd

CONTROL = "label"  # name of the control in the interface, and of its key in JSON-MIN
ID = "example_id"
MODEL = "datassay"
_TITLES = {"text": "Text", "text_b": "Text", "image": "Image"}
_VALUES = ("choices", "number", "rating", "text")


def interface(contents: Sequence[str], label_names: Sequence[str], question: str) -> str:
    """Return the labelling interface (XML): the columns `contents`, and one choice, or a number where no names are."""
    shown_parts = [f'  <{_TITLES[name]} name="{name}" value="${name}"/>' for name in contents]
    if label_names:
        choices = [f"    <Choice value={quoteattr(name)}/>" for name in label_names]
        opening = f'  <Choices name="{CONTROL}" toName="{contents[0]}" choice="single" required="true">'
        control = [opening, *choices, "  </Choices>"]
    else:
        control = [f'  <Number name="{CONTROL}" toName="{contents[0]}" required="true"/>']
    title = f"  <Header value={quoteattr(question)}/>"
    return "\n".join(["<View>", title, *shown_parts, *control, "</View>"]) + "\n"


def tasks(batch: "pd.DataFrame", contents: Sequence[str], round_number: int, numbers: bool) -> list[dict[str, Any]]:
    """Return one task per example: its data, and what the model suggests as a prediction with its confidence.

    batch: example_id, suggested_label, confidence (NaN where there is none) and the columns `contents`.
    """
    tasks = []
    for row in batch.to_dict("records"):
        value = {"number": float(row["suggested_label"])} if numbers else {"choices": [row["suggested_label"]]}
        result = {
            "from_name": CONTROL,
            "to_name": contents[0],
            "type": "number" if numbers else "choices",
            "value": value,
        }
        prediction: dict[str, Any] = {"model_version": f"{MODEL} round {round_number}", "result": [result]}
        if row["confidence"] == row["confidence"]:
            prediction["score"] = float(row["confidence"])
        data = {ID: row["example_id"], "round": round_number, **{name: row[name] for name in contents}}
        tasks.append({"data": data, "predictions": [prediction]})
    return tasks


def read(content: bytes) -> Found:
    """Read the answers of an export, JSON or JSON-MIN. Skipped (cancelled) annotations and open tasks do not count."""
    try:
        tasks = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Found.fault(f"byte 0x{content[error.start]:02X} at offset {error.start} is not UTF-8")
    except json.JSONDecodeError as error:
        return Found(faults=[Fault(f":{error.lineno}", f"not valid JSON ({error.msg})")])
    except (ValueError, RecursionError) as error:
        return Found.fault(f"not valid JSON ({error})")
    if not isinstance(tasks, list):
        return Found.fault(f"holds {_kind(tasks)}, an export of Label Studio is a list of tasks")
    found = Found()
    for number, task in enumerate(tasks, start=1):
        if not isinstance(task, dict):
            found.faults.append(Fault(f": task {number}", f"is {_kind(task)}, expected an object"))
        elif "annotations" in task and "data" in task:
            _read_full(f": task {number}", task, found)
        else:
            _read_minimal(f": task {number}", task, found)
    return found


def _read_full(place: str, task: dict[str, Any], found: Found) -> None:
    annotations, data = task["annotations"], task["data"]
    example = data.get(ID) if isinstance(data, dict) else None
    if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
        found.faults.append(Fault(place, f"annotations: {shown(annotations)}, expected a list of objects"))
        return
    if example is None:
        found.faults.append(Fault(place, f"data has no '{ID}', import label_studio.json of the round to have it"))
        return
    if not annotations:
        found.skip("tasks without an annotation")
    for number, annotation in enumerate(annotations, start=1):
        here = f"{place}, annotation {number}" if len(annotations) > 1 else place
        if annotation.get("was_cancelled"):
            found.skip("annotations that were skipped")
            continue
        labels = [label for result in annotation.get("result") or [] for label in _labels(result)]
        _add(here, example, labels, _person(annotation.get("completed_by")), found)


def _read_minimal(place: str, task: dict[str, Any], found: Found) -> None:
    missing = [key for key in (ID, CONTROL) if key not in task]
    if missing:
        found.faults.append(Fault(place, f"no key '{missing[0]}' (keys: {', '.join(map(str, task))[:80]})"))
        return
    _add(place, task[ID], _flat(task[CONTROL]), _person(task.get("annotator")), found)


def _add(place: str, example: Any, labels: list[Any], who: str, found: Found) -> None:
    if len(labels) != 1:
        found.faults.append(Fault(place, f"{len(labels)} labels of {shown(example)}, expected 1"))
        return
    found.answers.append(Answer(place, str(example), labels[0], who))


def _labels(result: Any) -> list[Any]:
    """Return the labels of one result of an annotation; regions, relations and the like have none."""
    value = result.get("value") if isinstance(result, dict) else None
    if not isinstance(value, dict):
        return []
    return [label for kind in _VALUES if kind in value for label in _flat(value[kind])]


def _flat(value: Any) -> list[Any]:
    """Return what was chosen: a choice stands as it is, several as a list, in JSON-MIN below "choices"."""
    if isinstance(value, dict):
        value = value.get("choices", [])
    values = value if isinstance(value, list) else [value]
    return [v for v in values if not isinstance(v, dict | list) and v is not None and str(v).strip()]


def _person(value: Any) -> str:
    """Return who answered: Label Studio writes a number, an address, or an object that holds both."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    return "" if value is None else str(value)


def _kind(value: Any) -> str:
    return {"dict": "an object", "list": "a list", "str": "text"}.get(type(value).__name__, shown(value))
