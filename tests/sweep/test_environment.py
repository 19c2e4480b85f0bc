import pytest

from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import ConfigError
from alsweep.sweep.environment import refuse_cards_without_gpus, worker_environment


def test_libraries_keep_to_the_workers_threads():
    variables = worker_environment(ResourcesConfig(cpus=2.5))
    threads = {value for name, value in variables.items() if name.endswith("_NUM_THREADS")}
    assert threads == {"2"}


def test_a_card_that_is_wanted_but_not_asked_for_is_refused():
    with pytest.raises(ConfigError, match=r"resources.gpus is 0; write gpus: 1"):
        refuse_cards_without_gpus(ResourcesConfig(device="cuda"))
    for fine in ({"device": "cuda", "gpus": 0.5}, {"device": "cpu"}, {}):
        refuse_cards_without_gpus(ResourcesConfig(**fine))
