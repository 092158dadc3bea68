"""Lists for people to work through, as CSV and XLSX.

A cell is text, whatever it begins with: opened in Excel, a customer's `=HYPERLINK(…)` must not become a formula
(OWASP, CSV Injection).
"""

import csv
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

XLSX_ROWS = 100_000  # half a minute of openpyxl; Excel itself ends at a million
_CELL = 32_767  # characters in a cell of Excel
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
Cell = str | int | float | None


def write_lists(folder: Path, name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[str]:
    """Write rows as name.csv and name.xlsx and return their names; of very many, the workbook holds the first.

    Args:
        folder: where to.
        name: of the files, without ending.
        header: of the columns.
        rows: the cells of each; text stays text, numbers numbers.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet(name)
    sheet.freeze_panes = "A2"
    for number in range(len(header)):
        sheet.column_dimensions[chr(ord("A") + number)].width = 12 if number < 1 else 40
    sheet.append([_bold(sheet, text) for text in header])
    with (folder / f"{name}.csv").open("w", encoding="utf-8-sig", newline="") as file:  # Excel knows it by the mark
        writer = csv.writer(file)
        writer.writerow(header)
        for row in islice(stream := iter(rows), XLSX_ROWS):
            writer.writerow([_harmless(cell) for cell in row])
            sheet.append([_typed(sheet, cell) for cell in row])
        writer.writerows([_harmless(cell) for cell in row] for row in stream)
    book.save(folder / f"{name}.xlsx")
    return [f"{name}.csv", f"{name}.xlsx"]


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _typed(sheet: WriteOnlyWorksheet, cell: Cell) -> object:
    """Return a cell of a workbook; text is typed as text."""
    if not isinstance(cell, str):
        return cell
    typed = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("\ufffd", cell)[:_CELL])
    typed.data_type = "s"
    return typed


def _bold(sheet: WriteOnlyWorksheet, text: str) -> object:
    cell = WriteOnlyCell(sheet, text)
    cell.font = Font(bold=True)
    return cell
