from hetero.training.seeds import seed_of


def test_seeds_differ_by_purpose_and_run_and_repeat():
    seeds = {seed_of(purpose, seed) for purpose in ("cloud", "control", "edge") for seed in range(20)}
    assert len(seeds) == 60
    assert seed_of("control", 1) == seed_of("control", 1)
    assert all(0 <= seed < 2**63 for seed in seeds)
