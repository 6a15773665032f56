"""A cheetah that finds out whether to run forwards or backwards, ProMP, episodes of 200 steps."""

from reproduction import Reproduction, main

HALF_CHEETAH_DIR_PROMP = Reproduction(
    name="half_cheetah_dir_promp",
    claim="by iteration 60 the return after one step is >= 50 above the one before it, for 2 of 3 seeds",
    environment="half-cheetah-dir",
    algorithm="promp",
    train={"iterations": 60, "tasks": 20, "lanes": 10},
    env={"variant": "deleu", "horizon": 200},
    holds=lambda f: f["gain"] >= 50,
    seeds_needed=2,
)

if __name__ == "__main__":
    main(HALF_CHEETAH_DIR_PROMP)
