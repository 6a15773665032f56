"""A cheetah that finds out how fast to run, targets U(0, 3) m/s, MAML-TRPO; the best constant velocity earns −150."""

from reproduction import Reproduction, main

HALF_CHEETAH_VEL = Reproduction(
    name="half_cheetah_vel",
    claim="by iteration 100 the return after one step is >= -140 and >= 30 % better than before it, for 2 of 3 seeds",
    environment="half-cheetah-vel",
    algorithm="maml-trpo",
    train={"iterations": 100, "tasks": 20, "lanes": 10},
    env={"variant": "metarl"},
    holds=lambda f: f["after"] >= -140 and f["gain"] >= 0.3 * abs(f["before"]),
    seeds_needed=2,
)

if __name__ == "__main__":
    main(HALF_CHEETAH_VEL)
