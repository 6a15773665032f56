"""The rooms of the house, read from the sources: which way imports go, how long files are and how deep classes."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each room may import of ours; a prefix stands for everything below it, and a room may always import itself.
LEARNING = tuple(f"metarl.{room}" for room in ("runtime", "core", "sampling", "fewshot", "algorithms"))
TRAINING = ("envs", *LEARNING, "metarl.runs", "metarl.training")
ARROWS = {
    "envs.contract": (),
    "envs.engine": ("envs.contract",),
    "envs.families": ("envs.contract", "envs.engine"),
    "envs.adapters": ("envs.contract", "envs.engine", "envs.registry"),
    "envs.catalogue": (),
    "envs.registry": ("envs.catalogue", "envs.contract"),
    "envs.facts": ("envs.contract", "envs.registry"),
    "envs": ("envs",),
    "metarl.runtime": ("envs.contract.errors",),
    "metarl.core": ("metarl.runtime",),
    "metarl.sampling": ("envs.contract", "metarl.runtime", "metarl.core"),
    "metarl.fewshot": ("envs.contract.errors", "metarl.runtime", "metarl.core"),
    "metarl.algorithms": ("envs.contract.errors", "envs.registry", *LEARNING[:-1]),
    "metarl.runs": ("envs", "metarl.runtime", "metarl.core.types", "metarl.algorithms", "metarl.fewshot"),
    "metarl.training": TRAINING,
    "metarl.deployment": TRAINING,
    "metarl.evaluation": (*TRAINING, "metarl.deployment"),
    "metarl.comparison": (*TRAINING, "metarl.evaluation"),
    "metarl.speed": TRAINING,
    "metarl.sources": (*TRAINING, "metarl.evaluation"),
}
# The front doors may import anything; nobody may import them.
DOORS = ("metarl", *(f"metarl.{door}" for door in ("__main__", "cli", "commands", "collecting", "listing", "output")))
FOR_TESTS_ALONE = {"beartype", "hypothesis", "pytest", "pytest_timeout", "xdist", "tests"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_name(path): path for room in ("envs", "metarl") for path in (ROOT / room).rglob("*.py")}


def imports(path: Path) -> set[str]:
    """Every module that a source imports anywhere, in functions too; `from a import b` counts as `a.b` as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively, which this test does not follow"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def below(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def room_of(module: str) -> str | None:
    return next((room for room in ARROWS if below(module, room)), None)


def ours(modules: set[str]) -> set[str]:
    """Our modules among `modules`: names imported from a module are reduced to that module."""
    return {
        max((source for source in SOURCES if below(module, source)), key=len)
        for module in modules
        if module.split(".")[0] in ("envs", "metarl")
    }


def test_every_source_lives_in_a_known_room() -> None:
    assert {"envs.contract.base", "metarl.core.types", "metarl.cli"} <= SOURCES.keys()
    assert [module for module in SOURCES if room_of(module) is None and module not in DOORS] == []


@pytest.mark.parametrize("module", [module for module in SOURCES if module not in DOORS])
def test_imports_go_one_way(module: str) -> None:
    room = str(room_of(module))
    # whoever imports metarl.core loads the package above it as well, so naming `metarl` alone is no import of a door
    imported = ours(imports(SOURCES[module])) - {"metarl"}
    astray = {name for name in imported if not any(below(name, target) for target in (room, *ARROWS[room]))}
    assert astray == set()


def test_environments_do_without_torch() -> None:
    for module, path in SOURCES.items():
        if below(module, "envs"):
            assert not {name for name in imports(path) if below(name, "torch")}, module


def test_nothing_that_only_tests_need_is_imported_at_run_time() -> None:
    for module, path in SOURCES.items():
        assert not {name.split(".")[0] for name in imports(path)} & FOR_TESTS_ALONE, module


def test_the_plan_names_every_room_and_files_that_are_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    rooms = {room for room in ARROWS if room.count(".") == 1 and (ROOT / room.replace(".", "/")).is_dir()}
    assert set(re.findall(r"^\| `((?:envs|metarl)\.\w+)` \|", text, re.MULTILINE)) == rooms
    named = set(re.findall(r"`((?:envs|metarl|tests)/[\w/.]+)`", text))
    assert len(named) > 15 and [path for path in named if not (ROOT / path).exists()] == []
    for room, line in re.findall(r"^\| `(metarl\.\w+)` \|.*\| ([^|]*) \|$", text, re.MULTILINE):
        for word in re.findall(r"\w+", line):
            other = f"metarl.{word}"
            assert other not in rooms or any(below(target, other) for target in ARROWS[room]), (room, other)


def for_type_checkers(tree: ast.AST) -> set[ast.AST]:
    """What stands below `if TYPE_CHECKING:`, which nothing runs."""
    ifs = (node for node in ast.walk(tree) if isinstance(node, ast.If))
    guards = (node for node in ifs if "TYPE_CHECKING" in ast.unparse(node.test))
    return {node for guard in guards for node in ast.walk(guard)}


def test_no_imports_go_in_circles_those_in_functions_included() -> None:
    remaining = {}
    for module, path in SOURCES.items():
        tree = ast.parse(path.read_text())
        passed_over, names = for_type_checkers(tree), set[str]()
        for node in ast.walk(tree):
            if node in passed_over:
                continue
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        remaining[module] = ours(names) - {module}
    while free := [module for module, needs in remaining.items() if not needs & remaining.keys()]:
        for module in free:
            del remaining[module]
    assert remaining == {}


def test_no_file_is_longer_than_one_reads_in_one_go() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in SOURCES.items()}
    assert {module: length for module, length in lengths.items() if length >= 300} == {}


def test_classes_of_ours_inherit_from_one_of_ours_at_the_most() -> None:
    # MujocoTasks is the contract on an engine, Mixed over families, and bases of theirs as TaskEnv is any family's.
    bases: dict[str, list[str]] = {"MujocoTasks": [], "Mixed": []}
    for path in SOURCES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, [ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases])
    deep = [
        name
        for name, parents in bases.items()
        for parent in parents
        if any(grandparent in bases for grandparent in bases.get(parent, ()))
    ]
    assert deep == []


@pytest.mark.parametrize("module", ["envs", "envs.registry", "metarl", "metarl.algorithms", "metarl.cli"])
def test_names_and_options_are_read_without_torch_and_without_a_simulator(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({{'torch', 'mujoco'}} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == ""
