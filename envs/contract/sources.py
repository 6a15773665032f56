"""Where definitions come from: papers, and their code at the commit that was read."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Source(NamedTuple):
    """A paper, and a file of its code; `MAML / "ant_env_rand.py"` is a file in the folder that `MAML` names."""

    title: str
    """Authors, year, short title."""
    arxiv: str = ""
    """Number of the paper on arXiv, where it is there."""
    repository: str = ""
    """`owner/name` on GitHub."""
    commit: str = ""
    """Of the repository, as it was read."""
    path: str = ""
    """Of the file, or of the folder of the environments, in the repository."""

    def __truediv__(self, name: str) -> "Source":
        return self._replace(path=f"{self.path}/{name}")

    @property
    def code(self) -> str:
        """The file in short; nothing where no code was read."""
        return f"{self.repository}@{self.commit[:7]} {self.path.rpartition('/')[2]}" if self.repository else ""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.title, self.arxiv and f"arXiv:{self.arxiv}", self.code)))

    def markdown(self) -> str:
        """The same, with links."""
        paper = f"[{self.title}](https://arxiv.org/abs/{self.arxiv})" if self.arxiv else self.title
        link = f"https://github.com/{self.repository}/blob/{self.commit}/{self.path}"
        return f"{paper}, [{self.code}]({link})" if self.code else paper


class Variant(dict[str, Any]):
    """A definition of a family: a value for every option that users may leave open, and where it stands."""

    def __init__(self, options: Mapping[str, Any], source: Source, remark: str = "") -> None:
        """`remark` is what there is to know besides the values."""
        super().__init__(options)
        self.source, self.remark = source, remark


def after(source: Source) -> Source:
    """Ours, after that one."""
    return source._replace(title=f"metarl, after {source.title}")


OURS = Source("metarl")
MAML = Source(
    "Finn et al. 2017, MAML", "1703.03400",
    "cbfinn/maml_rl", "9c8e2ebd741cb0c7b8bf2d040c4caeeb8e06cc95", "rllab/envs/mujoco",
)  # fmt: skip
DELEU = Source(
    "Deleu 2018, pytorch-maml-rl", "",
    "tristandeleu/pytorch-maml-rl", "21d4ba1ccd300a403928e6db553c9529bcc3fbdf", "maml_rl/envs",
)  # fmt: skip
PROMP = Source(
    "Rothfuss et al. 2019, ProMP", "1810.06784",
    "jonasrothfuss/ProMP", "93ae339e23dfc6e1133f9538f2c7cc0ccee89d19", "meta_policy_search/envs",
)  # fmt: skip
PEARL = Source(
    "Rakelly et al. 2019, PEARL", "1903.08254",
    "katerakelly/oyster", "44e20fddf181d8ca3852bdf9b6927d6b8c6f48fc", "rlkit/envs",
)  # fmt: skip
VARIBAD = Source(
    "Zintgraf et al. 2020, VariBAD", "1910.08348",
    "lmzintgraf/varibad", "57e1795be142ace52d0c353097acf193d9067200", "environments",
)  # fmt: skip
L2L = Source(
    "Arnold et al. 2020, learn2learn", "2008.12284",
    "learnables/learn2learn", "db5cee3795490071282bbdfa81179ef732349196", "learn2learn/gym/envs",
)  # fmt: skip
GARAGE = Source(
    "The garage contributors 2019, garage", "",
    "rlworkgroup/garage", "2d594803636e341660cab0e81343abbe9a325353", "src/garage/envs",
)  # fmt: skip
GRBAL = Source(
    "Nagabandi et al. 2019, GrBAL", "1803.11347",
    "iclavera/learning_to_adapt", "bd7d99ba402521c96631e7d09714128f549db0f1", "learning_to_adapt/envs",
)  # fmt: skip
AMAGO = Source(
    "Grigsby et al. 2024, AMAGO", "2310.09971",
    "UT-Austin-RPL/amago", "2d85600cff8db8483f417f566d4d9f80ba259e01", "amago/envs/builtin",
)  # fmt: skip
RAND_PARAMS = Source(
    "Lee 2018, rand_param_envs", "",
    "dennisl88/rand_param_envs", "4d1529d61ca0d65ed4bd9207b108d4a4662a4da0", "rand_param_envs",
)  # fmt: skip
AD = Source("Laskin et al. 2022, Algorithm Distillation", "2210.14215")
DPT = Source(
    "Lee et al. 2023, DPT", "2306.14892",
    "jon--lee/decision-pretrained-transformer", "144c61d59a1df8dc59430a925f2b100a92988d9b", "envs",
)  # fmt: skip
RL2 = Source("Duan et al. 2016, RL²", "1611.02779")
META_SGD = Source("Li et al. 2017, Meta-SGD", "1707.09835")
