"""The results folder of a comparison: blocks.csv, ratios.csv, machine.json, config.toml."""

import csv
import json
import os
from collections import Counter
from pathlib import Path

from config import UserError

BLOCKS = ("schema", "side", "variant", "model", "mode", "batch_size", "precision", "process", "block", "step_s")
RATIOS = ("schema", "model", "mode", "precision", "peer", "ratio", "low", "high")


class Results:
    """A folder that is new, or holds samples that were taken in the same way."""

    def __init__(self, folder, record, config_text):
        self.folder = Path(folder)
        self.blocks = self.folder / "blocks.csv"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keep("machine.json", json.dumps(record, indent=2) + "\n")
        self.keep("config.toml", config_text)
        if not self.blocks.exists():
            write_csv(self.blocks, BLOCKS, [])

    def keep(self, name, text):
        """Writes a file of a new folder, or checks that an older folder has the same."""
        path = self.folder / name
        if path.exists() and path.read_text() != text:
            problem = "the samples there were taken on another machine, with other versions or with other settings"
            raise UserError(f"{path}: {problem}\n  help: choose another folder with --out")
        path.write_text(text)

    def rows(self):
        """All samples. A last row without an end was torn when the program was stopped, and is left out."""
        text = self.blocks.read_text()
        return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))

    def finished(self, samples_of_process):
        """The numbers of the processes that have all their samples. Others are removed, to be timed again."""
        rows = self.rows()
        counts = Counter(row["process"] for row in rows)
        whole = {process for process, count in counts.items() if count == samples_of_process}
        write_csv(self.blocks, BLOCKS, [row for row in rows if row["process"] in whole])
        return {int(process) for process in whole}

    def add(self, row):
        """Adds a sample at once, so that a stop loses only the process in progress."""
        with open(self.blocks, "a", newline="") as file:
            csv.DictWriter(file, BLOCKS, lineterminator="\n").writerow(row)

    def write_ratios(self, table):
        write_csv(self.folder / "ratios.csv", RATIOS, table)


def write_csv(path, columns, rows):
    """Writes a whole file, which appears at once."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)
