"""A cheetah that finds out whether to run forwards or backwards, MAML-TRPO, episodes of 100 steps."""

from reproduction import Reproduction, main

HALF_CHEETAH_DIR_100 = Reproduction(
    name="half_cheetah_dir_100",
    claim="by iteration 80 the return after one step is >= 60 above the one before it, for 2 of 3 seeds",
    environment="half-cheetah-dir",
    algorithm="maml-trpo",
    train={"iterations": 80, "tasks": 20, "lanes": 10},
    env={"variant": "deleu", "horizon": 100},
    holds=lambda f: f["gain"] >= 60,
    seeds_needed=2,
)

if __name__ == "__main__":
    main(HALF_CHEETAH_DIR_100)
