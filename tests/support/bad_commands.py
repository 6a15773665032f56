"""Command lines that cannot be meant, from a grammar: a sound command, and one mistake of many kinds in it."""

import random
from collections.abc import Callable

from envs.registry import ENVIRONMENTS
from metarl.algorithms import ALGORITHMS
from metarl.fewshot import SOURCES

Words = list[str]

COMMANDS = ("train", "evaluate", "render", "export", "compare", "speed", "report", "list")
WORLDS = ("point-nav", "sparse-point-nav", "bandit", "grid-navi", "tabular-mdp", "half-cheetah-dir")
METHODS = ("maml-vpg", "maml-trpo", "promp", "fomaml-trpo", "reptile", "rl2")
LETTERS = "abcdefghijklmnopqrstuvwxyz-"

# Options of `metarl train` that every method has, with values of the right type that are impossible, and of no type.
NUMBERS = ("0", "-1", "-5", f"-1{'0' * 400}")
IMPOSSIBLE = {
    **dict.fromkeys(("--iterations", "--tasks", "--lanes", "--checkpoint-every", "--keep-checkpoints"), NUMBERS),
    "--seed": ("-1", "4294967296", f"1{'0' * 400}"),
    "--threads": ("-1", "1025", "1000000"),
    "--torch-threads": ("-2", "99999"),
    "--groups": ("-1", "4096"),
    "--tasks-at-once": ("-1", "10000000"),
    "--algo.discount": ("1.5", "-0.1", "nan", "inf"),
    "--algo.learning-rate": ("-1", "nan", "inf", "-inf", "1e999"),
}
WHOLE = ("--iterations", "--seed", "--tasks", "--lanes", "--threads", "--groups", "--keep-checkpoints")
NOT_WHOLE = ("many", "1e3", "1.5", "nan", "0x10", "1_", "--", "+-1", "½", "ten", "1 2", "None", "[3]", "\udce4", "🐆")
CHOICES = {"--device": ("gpu", "CPU", "cuda:0", "tpu", ""), "--env.variant": ("pearll", "…", "no variant", "\x1b[2J")}
JUNK = (
    *("", " ", "-", "--", "---", "…", "🐆", "\udce4", "\x1b[2J", "a\nb", "x" * 5000, "../../etc/passwd", "/dev/null"),
    *(
        "%s%s%n",
        "$(id)",
        "`id`",
        "'; drop",
        "None",
        "nan",
        "0",
        "-1",
        "*",
        "~",
        "C:\\runs",
        ".",
        "..",
        "/",
        "::",
        "a:b:c",
    ),
    *(
        "os:system",
        "json:loads",
        "no_such_module:Env",
        "envs:",
        ":Env",
        "no/such/file.py:Env",
        "envs.families.point.navigation:PointNaw",
    ),
)
KNOWN = {
    *ENVIRONMENTS,
    *SOURCES,
    *ALGORITHMS,
    *COMMANDS,
    "speed",
    "learn",
    "all",
    "envs",
    "algos",
    "presets",
}


def bad_commands(seed: int, count: int) -> list[Words]:
    """`count` command lines, the same for the same seed."""
    rng = random.Random(seed)
    return [rng.choice(MISTAKES)(rng) for _ in range(count)]


def typo(rng: random.Random, word: str) -> str:
    """The word with one to three edits, never one that is known."""
    while True:
        letters = list(word)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(letters))
            edit = rng.choice(("swap", "drop", "double", "other"))
            if edit == "swap" and place:
                letters[place - 1 : place + 1] = letters[place - 1 : place + 1][::-1]
            elif edit == "drop" and len(letters) > 3:
                del letters[place]
            elif edit == "double":
                letters.insert(place, letters[place])
            else:
                letters[place] = rng.choice(LETTERS)
        found = "".join(letters)
        if found not in KNOWN and not found.startswith("-") and found != "h":
            return found


def train(rng: random.Random, world: str | None = None, method: str | None = None) -> Words:
    """A sound `metarl train`."""
    words = ["train", world or rng.choice(WORLDS), method or rng.choice(METHODS)]
    for option in rng.sample(("--iterations", "--seed", "--tasks", "--lanes"), rng.randint(0, 3)):
        words += [option, str(rng.randint(1, 9))]
    return words


def wrong_command(rng: random.Random) -> Words:
    return [rng.choice((typo(rng, rng.choice(COMMANDS)), *JUNK)), *train(rng)[1:]]


def wrong_environment(rng: random.Random) -> Words:
    words = train(rng)
    name = rng.choice((typo(rng, rng.choice(sorted(ENVIRONMENTS))), rng.choice(JUNK)))
    return [words[0], name, *words[2:]]


def wrong_algorithm(rng: random.Random) -> Words:
    words = train(rng)
    return [*words[:2], rng.choice((typo(rng, rng.choice(sorted(ALGORITHMS))), rng.choice(JUNK))), *words[3:]]


def wrong_option(rng: random.Random) -> Words:
    option = rng.choice((*IMPOSSIBLE, *CHOICES, "--resume", "--out"))
    room, _, name = option.removeprefix("--").rpartition(".")
    return [*train(rng), f"--{room}{'.' if room else ''}{typo(rng, name)}-x", str(rng.randint(1, 9))]


def impossible_value(rng: random.Random) -> Words:
    option = rng.choice(sorted(IMPOSSIBLE))
    value = rng.choice(IMPOSSIBLE[option])
    words = train(rng, rng.choice(("point-nav", "bandit", "grid-navi")), rng.choice(("maml-vpg", "promp")))
    return [*words, *((f"{option}={value}",) if value.startswith("-") or rng.random() < 0.5 else (option, value))]


def wrong_type(rng: random.Random) -> Words:
    return [*train(rng), rng.choice(WHOLE), rng.choice(NOT_WHOLE)]


def wrong_choice(rng: random.Random) -> Words:
    option = rng.choice(sorted(CHOICES))
    return [*train(rng, "point-nav"), option, rng.choice(CHOICES[option])]


def missing_value(rng: random.Random) -> Words:
    return [*train(rng), rng.choice((*WHOLE, "--out", "--algo.learning-rate"))]


def words_out_of_order(rng: random.Random) -> Words:
    """Options before the names, or between them."""
    command, world, method, *_ = train(rng, method="promp")  # any but the default
    option = ["--seed", str(rng.randint(0, 9))]
    return rng.choice(([command, *option, world, method], [command, world, *option, method], [*option, command, world]))


def a_word_too_many(rng: random.Random) -> Words:
    words = train(rng)
    return [*words[:3], rng.choice((*METHODS, "again", "3")), *words[3:]]


def anothers_option(rng: random.Random) -> Words:
    return [
        *train(rng, "point-nav", "maml-vpg"),
        rng.choice(("--algo.clip", "--env.gravity", "--algo.replay-size")),
        "1",
    ]


def nothing_to_resume(rng: random.Random) -> Words:
    words = train(rng, "point-nav", "maml-vpg")
    return [*words, *rng.choice(([], ["--out", rng.choice(("nowhere", "../nowhere", "no/where"))])), "--resume"]


def no_run(rng: random.Random) -> Words:
    """Commands that open a run, without a run."""
    command = rng.choice(("evaluate", "render", "export", "report"))
    words = [command, rng.choice(("nowhere", "no/where", "/dev/null", "/dev/zero", "\udce4", "🐆", "", ".", "x" * 300))]
    if command in ("render", "export"):
        words += ["--out", rng.choice(("film.mp4", "policy", "film.gif", "paths.png"))]
    if command == "evaluate" and rng.random() < 0.5:
        words += rng.choice(
            (["--tasks", "0"], ["--adaptations", "-1"], ["--split", "tset"], ["--seed", "x"], ["--film"])
        )
    return words


def other_commands(rng: random.Random) -> Words:
    """What the remaining commands refuse."""
    return rng.choice(
        (
            ["list", typo(rng, "envs")],
            ["list", "envs", "algos"],
            ["benchmark"],
            ["benchmark", "speed"],
            ["speed", typo(rng, "half-cheetah-dir")],
            ["speed", "--repeats", rng.choice(NOT_WHOLE)],
            ["speed", "--devices", "gpu"],
            ["compare"],
            ["compare", rng.choice((typo(rng, "smoke"), "no/such.yaml", "/dev/null", "/dev/zero"))],
            ["compare", "smoke", "--parallel", rng.choice(("-1", "100000", "two"))],
            ["render", "nowhere"],
            ["export", "nowhere"],
            ["report", "--out", "page.html", "nowhere"],
            [],
        )
    )


MISTAKES: tuple[Callable[[random.Random], Words], ...] = (
    wrong_command,
    wrong_environment,
    wrong_algorithm,
    wrong_option,
    impossible_value,
    wrong_type,
    wrong_choice,
    missing_value,
    words_out_of_order,
    a_word_too_many,
    anothers_option,
    nothing_to_resume,
    no_run,
    other_commands,
)
