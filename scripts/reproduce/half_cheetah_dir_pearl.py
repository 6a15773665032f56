"""PEARL's cheetah, whose actions are not scaled: flat for 60 iterations with noise of size 1, not with 0.3."""

from reproduction import Reproduction, main

HALF_CHEETAH_DIR_PEARL = Reproduction(
    name="half_cheetah_dir_pearl",
    claim="by iteration 60 the return after one step is >= 50 above the one before it, for 2 of 3 seeds",
    environment="half-cheetah-dir",
    algorithm="maml-trpo",
    train={"iterations": 60, "tasks": 20, "lanes": 10},
    env={"variant": "pearl"},  # the preset of this variant sets initial_std 0.3 and output_gain 0.1
    holds=lambda f: f["gain"] >= 50,
    seeds_needed=2,
)

if __name__ == "__main__":
    main(HALF_CHEETAH_DIR_PEARL)
