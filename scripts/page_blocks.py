"""What stands in a page's code blocks: files, which say their name in their first line, and programs."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: Path, *languages: str) -> list[str]:
    """A page's code blocks in these languages, in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language in languages]


def name_of(block: str) -> str | None:
    """The file that a block is: `# rover.py`, `<!-- rover.xml -->` or `# mine.yaml: …` as its first line."""
    found = re.match(r"(?:# |<!-- )([\w-]+\.(?:py|xml|yaml))(?: -->|: .*)?\n", block)
    return found[1] if found else None


def write_files(page: Path, folder: Path) -> list[Path]:
    """Write the files that a page shows into a folder."""
    written = []
    for block in blocks(page, "python", "xml", "yaml"):
        if name := name_of(block):
            written.append(folder / name)
            written[-1].write_text(block.split("\n", 1)[1] if name.endswith(".xml") else block)
    return written
