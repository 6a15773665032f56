"""A cheetah that finds out whether to run forwards or backwards, MAML-TRPO, episodes of 200 steps."""

from reproduction import Reproduction, main

HALF_CHEETAH_DIR = Reproduction(
    name="half_cheetah_dir",
    claim="by iteration 60 the return after one step is >= 100 above the one before it, for 2 of 3 seeds",
    environment="half-cheetah-dir",
    algorithm="maml-trpo",
    train={"iterations": 60, "tasks": 20, "lanes": 10},
    env={"variant": "deleu", "horizon": 200},
    holds=lambda f: f["gain"] >= 100,
    seeds_needed=2,
)

if __name__ == "__main__":
    main(HALF_CHEETAH_DIR)
