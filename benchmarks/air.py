"""Does a strategy query the air round the body, and what keeps it from that?

    python benchmarks/air.py [--seeds 4]

On a phantom, predictive entropy asks for 24 patches after 120 iterations on a start of 6 patches
that are all placed on classes, or of 12 of which 6 are random; with and without free air. Printed
are the share of the queried patches that hold no foreground and are as dark as what is round the
body, seed by seed, and mean Dice before and after they are annotated.
"""

import argparse
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from alsweep import Dataset, Trajectory, TrajectoryConfig
from alsweep.data.phantom import write_phantom
from alsweep.results.background import query_backgrounds

PLACED, ROOMY = 6, 12
_SHAPE = (32, 32, 32)


def main() -> None:
    """Print a line for each combination."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    seeds = range(parser.parse_args().seeds)
    with TemporaryDirectory() as place:
        phantoms = {
            air: write_phantom(Path(place, f"air {air}"), cases=8, shape=_SHAPE, free_air=air)
            for air in (False, True)
        }
        print("start  free air  share of the query by seed   mean  Dice before, after")
        for start in (PLACED, ROOMY):
            for air, dataset in phantoms.items():
                found = [_one(dataset, start, seed) for seed in seeds]
                shares, before, after = (
                    list(map(float, column)) for column in zip(*found, strict=True)
                )
                each = " ".join(f"{share:.2f}" for share in shares)
                print(
                    f"{start:5}  {'yes' if air else 'no':>8}  {each:27}  {mean(shares):.2f}  "
                    f"{mean(before):.3f}, {mean(after):.3f}",
                    flush=True,
                )


def _one(dataset: Dataset, start: int, seed: int) -> tuple[float, float | None, float | None]:
    """Share of background in the first query, and Dice before and after it."""
    config = TrajectoryConfig.model_validate(
        {
            "dataset": dataset.path,
            "strategy": "predictive_entropy",
            "starting_budget": {"patches": start},
            "query": {"patches": 24, "patch_size": [6, 6, 6], "loops": 2, "stride": 2},
            "training": {
                "epochs": 3,
                "iterations_per_epoch": 40,
                "members": 1,
                "ensemble": "seeds",
                "patch_size": [16, 16, 16],
            },
            "seed": seed,
        }
    )
    with TemporaryDirectory() as folder:
        records = Trajectory(config, Path(folder), dataset=dataset).run()
    query = query_backgrounds(records)[1]
    return query.background / query.patches, records[0].mean_dice, records[1].mean_dice


if __name__ == "__main__":
    main()
