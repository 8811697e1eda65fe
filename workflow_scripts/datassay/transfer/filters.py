"""Filter expressions on the columns of a table: comparisons of columns with constants, and nothing that runs code."""

import ast
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import DatassayError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Table = dict[str, list[Any]]
ORDER = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
ALLOWED = (
    "allowed: columns compared with numbers or texts (== != < <= > >= in, not in), and, or, not, contains(column, text)"
)


def chosen(table: "pd.DataFrame", expression: str) -> np.ndarray:
    """Return which rows of a table an expression keeps, bool [n].

    Such as `num_examples >= 1000 and language in ["en", "de"] and not contains(task_id, "imdb")`. A missing value meets
    no comparison but !=, `not in` and `column == None`. Raises DatassayError, one line, for anything else.
    """
    return _mask(parsed(expression), {str(name): table[name].tolist() for name in table.columns})


def parsed(expression: str) -> ast.expr:
    """Return the syntax of an expression, or refuse it."""
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DatassayError(f"filter '{expression}': not an expression ({error}), {ALLOWED}") from error


def check_filter(expression: str, columns: list[str]) -> None:
    """Refuse an expression that `chosen` would refuse on a table of these columns."""
    _mask(parsed(expression), {name: [] for name in columns})


def _mask(node: ast.expr, table: Table) -> np.ndarray:
    match node:
        case ast.BoolOp(op=ast.And()):
            return np.logical_and.reduce([_mask(part, table) for part in node.values])
        case ast.BoolOp():
            return np.logical_or.reduce([_mask(part, table) for part in node.values])
        case ast.UnaryOp(op=ast.Not()):
            return ~_mask(node.operand, table)
        case ast.Compare():
            parts = zip([node.left, *node.comparators], node.ops, node.comparators, strict=False)
            return np.logical_and.reduce([_compared(*part, table) for part in parts])
        case ast.Call(func=ast.Name(id="contains"), args=[ast.Name() as name, ast.Constant(value=str(text))]):
            return np.array([isinstance(value, str) and text in value for value in _column(name, table)], dtype=bool)
    raise DatassayError(f"filter: '{ast.unparse(node)}' is not allowed; {ALLOWED}")


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr, table: Table) -> np.ndarray:
    mirrored = {ast.Lt: ast.Gt(), ast.LtE: ast.GtE(), ast.Gt: ast.Lt(), ast.GtE: ast.LtE()}
    if isinstance(right, ast.Name) and not isinstance(left, ast.Name):
        if isinstance(op, ast.In | ast.NotIn):
            raise DatassayError(f"filter: '{ast.unparse(right)}' is a column, `in` needs a list of constants")
        left, op, right = right, mirrored.get(type(op), op), left
    if not isinstance(left, ast.Name):
        raise DatassayError(f"filter: '{ast.unparse(left)}' is no column; {ALLOWED}")
    wanted = _constant(right)
    if isinstance(op, ast.In | ast.NotIn) and not isinstance(wanted, list | tuple):
        raise DatassayError(f"filter: `in` needs a list of constants, found '{ast.unparse(right)}'")
    return np.array([_holds(value, op, wanted) for value in _column(left, table)], dtype=bool)


def _holds(value: Any, op: ast.cmpop, wanted: Any) -> bool:
    missing = value is None or value != value
    match op:
        case ast.Eq():
            return missing if wanted is None else not missing and bool(value == wanted)
        case ast.NotEq():
            return not missing if wanted is None else missing or bool(value != wanted)
        case ast.In():
            return not missing and value in wanted
        case ast.NotIn():
            return missing or value not in wanted
    if missing or isinstance(value, str) != isinstance(wanted, str):
        return False
    if type(op) not in ORDER or not isinstance(wanted, str | int | float):
        raise DatassayError(f"filter: cannot compare with {wanted!r}; {ALLOWED}")
    return bool(ORDER[type(op)](value, wanted))


def _column(name: ast.Name, table: Table) -> list[Any]:
    if name.id not in table:
        raise DatassayError(f"filter: no column '{name.id}'{did_you_mean(name.id, table)}")
    return table[name.id]


def _constant(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise DatassayError(f"filter: '{ast.unparse(node)}' is no constant; {ALLOWED}") from error
