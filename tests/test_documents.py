"""What the documents say is what the sources do: tables are current, links lead somewhere, examples run."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from support.command import Command

import envs
import metarl as library
from metarl.cli import parse
from metarl.comparison.suite_file import load_suite

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from page_blocks import blocks, name_of, write_files  # noqa: E402

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [ROOT / "docs" / f"{page}.md" for page in ("my-robot", "robots", "my-environment", "my-method", "python")]
LITTLE = [*("--iterations", "1", "--tasks", "2", "--lanes", "2", "--threads", "1", "--torch-threads", "1")]


def commands(page: Path) -> list[list[str]]:
    """Every `metarl …` line of a page's shell blocks, in words."""
    lines = "\n".join(blocks(page, "bash")).splitlines()
    words = (shlex.split(line, comments=True) for line in lines if line.startswith("metarl "))
    return [line[1 : line.index(">") if ">" in line else None] for line in words]


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import list_environments

    return list_environments


def test_the_environments_document_is_current(environments: ModuleType) -> None:
    written = (ROOT / "docs" / "environments.md").read_text()
    definitions, levels = written.split(environments.LEVELS)
    assert definitions == environments.definitions(), "run scripts/list_environments.py"
    # The levels are measurements, which may differ elsewhere in their last digits: every environment must have some.
    rows = [line.split("|")[1].strip(" `") for line in levels.splitlines() if line.startswith("| `")]
    assert rows == environments.envs.names()


def test_the_readme_counts_the_families() -> None:
    assert f"There are {len(envs.names())} families" in (ROOT / "README.md").read_text()
    assert f"[{len(envs.names())} families" in (ROOT / "docs/index.md").read_text()


# Links


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", words).strip().lower())


def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {slug(title) for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)} | set(
        re.findall(r"^::: (.*)$", text, re.MULTILINE)
    )


def test_a_headings_anchor_is_what_browsers_are_sent_to() -> None:
    assert slug("Claims, and what is kept") == "claims-and-what-is-kept"
    assert slug("What `define` [may](say.md) say?") == "what-define-may-say"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("http")]
    for target in targets:
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"


def test_every_question_has_a_picture() -> None:
    navigation = (ROOT / ".mkdocs.yml").read_text().split("- Questions:")[1].split("  - From a robot")[0]
    pages = re.findall(r": ([\w-]+\.md)$", navigation, re.MULTILINE)
    assert len(pages) == 8 and "my-robot.md" in pages
    assert [page for page in pages if "![" not in (ROOT / "docs" / page).read_text()] == []


def test_the_site_builds_without_a_warning_and_asks_no_other_host(tmp_path: Path) -> None:
    if shutil.which("mkdocs") is None:
        pytest.skip("the site needs pip install -e '.[docs]'")
    build = ["mkdocs", "build", "--strict", "--quiet", "-f", str(ROOT / ".mkdocs.yml"), "-d", str(tmp_path / "site")]
    built = subprocess.run(build, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    for page in (tmp_path / "site").glob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="(http[^"]*)"', page.read_text())
        loaded += re.findall(r'<link[^>]* href="(http[^"]*)"[^>]*rel="stylesheet"', page.read_text())
        assert loaded == [], page.name


def test_every_public_name_stands_in_the_reference() -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    public = {f"{module.__name__}.{name}" for module in (library, envs) for name in module.__all__}
    assert public - set(re.findall(r"^::: (.*)$", text, re.MULTILINE)) == set(), "name them in docs/python.md"


# Examples


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_pages_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for path in write_files(page, tmp_path):
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
    programs = [block for block in blocks(page, "python") if name_of(block) is None]
    assert programs or page.stem in ("my-method", "robots")
    for program in programs:
        program = program.replace("lanes=5)", "lanes=5, threads=1, torch_threads=1)")
        exec(compile(program, page.name, "exec"), {"__name__": "page"})
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


TRAINED = [(page, words) for page in PAGES for words in commands(page) if words[0] == "train"]


@pytest.mark.parametrize(("page", "words"), TRAINED, ids=lambda value: getattr(value, "stem", None) or " ".join(value))
def test_a_pages_own_code_trains_as_it_says(page: Path, words: list[str], tmp_path: Path, metarl: Command) -> None:
    write_files(page, tmp_path)
    done = metarl(*words, *LITTLE, "--out", "run")
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "metrics.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_every_command_that_is_shown_is_one(page: Path, finished_run: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    for source in PAGES:
        write_files(source, tmp_path)
    for words in commands(page):
        named = [str(finished_run) if re.match(r"RUN$|runs/.*seed-\d$", word) else word for word in words]
        assert parse(named), words


@pytest.mark.parametrize("page", ["benchmarks", "my-method"])
def test_a_pages_suite_is_one(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(ROOT / "docs" / "my-method.md", tmp_path)
    (text,) = blocks(ROOT / "docs" / f"{page}.md", "yaml")
    (tmp_path / "suite.yaml").write_text(text)
    assert len(load_suite("suite.yaml").cells) >= 9


def test_the_documents_call_commands_by_their_names() -> None:
    for page in DOCUMENTS:
        assert not re.search(r"metarl benchmark|metarl train [^`\n]*--resume", page.read_text()), page.name


def test_the_readmes_robot_is_good_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium

    (robot,) = [block for block in blocks(ROOT / "README.md", "python") if "MyRobot" in block]
    monkeypatch.chdir(tmp_path)
    xml = Path(gymnasium.__file__).parent / "envs/mujoco/assets/half_cheetah.xml"  # it has 9 positions and a torso
    (tmp_path / "my_robot.xml").write_text(xml.read_text())
    namespace: dict[str, object] = {}
    exec(robot, namespace)
    env = namespace["MyRobot"](3, 2, threads=1)  # type: ignore[operator]
    assert set(env.tasks) == {"velocity", "load"}
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[1].shape == (6,)


# The notebook


@pytest.fixture
def cells() -> list[str]:
    notebook = json.loads((ROOT / "docs" / "robot-to-film.ipynb").read_text())
    assert len(json.dumps(notebook)) < 500_000
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code), "run jupyter execute --inplace docs/robot-to-film.ipynb"
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    return ["".join(cell["source"]) for cell in code]


def test_the_notebooks_robot_is_that_of_its_page(cells: list[str], tmp_path: Path) -> None:
    written = {path.name: path.read_text() for path in write_files(ROOT / "docs" / "my-robot.md", tmp_path)}
    files = dict(re.fullmatch(r"%%writefile (\S+)\n(.*)", cell, re.DOTALL).groups() for cell in cells[:2])  # type: ignore[union-attr]
    assert files["rover.xml"].strip() == written["rover.xml"].strip()
    assert files["rover.py"].strip() == written["rover.py"].split("\n", 1)[1].strip()


def test_the_notebooks_cells_run_in_little(
    cells: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    shown: list[object] = []
    display = SimpleNamespace(HTML=shown.append, clear_output=lambda wait: None, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython.display", display)  # type: ignore[arg-type]
    smaller = {
        "= 30, 20": "= 5, 2",
        "lanes=LANES": "lanes=LANES, tasks=2, threads=1, torch_threads=1",
        "tasks=40, adaptations=3": "tasks=2, adaptations=1",
        "episodes=20, adaptations=3": "episodes=2",
        "size=(200, 150), fps=5": "size=(32, 32), fps=1",
    }
    namespace: dict[str, object] = {}
    for cell in cells:
        if cell.startswith("%%writefile "):
            name, text = cell.removeprefix("%%writefile ").split("\n", 1)
            Path(name).write_text(text)
            continue
        for old, new in smaller.items():
            cell = cell.replace(old, new)
        exec(cell, namespace)
    assert "after 1 adaptations" in capsys.readouterr().out
    assert len(shown) == 2 and str(shown[-1]).startswith('<img src="data:image/gif;base64,R0lGOD')  # "GIF8"
