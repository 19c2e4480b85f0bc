from alsweep.results.background import QueryBackground, pooled_share, query_backgrounds
from alsweep.testing.runs import synthetic_record, trajectory_config


def records(*counts):
    """Records with so many background patches, cumulative; None as older ones have."""
    config = trajectory_config("dataset", "random", (8, 8, 8), 0, len(counts))
    made = [synthetic_record(config, loop, 0.5) for loop in range(len(counts))]
    return [
        record.model_copy(update={"background_patches": count})
        for record, count in zip(made, counts, strict=True)
    ]


def test_a_query_has_what_its_record_counts_beyond_the_one_before():
    assert query_backgrounds(records(1, 4, 4)) == [
        QueryBackground(0, 1, 6),
        QueryBackground(1, 3, 6),
        QueryBackground(2, 0, 6),
    ]


def test_a_query_is_unknown_next_to_a_record_that_does_not_count():
    assert [query.loop for query in query_backgrounds(records(None, 3, 5, 5))] == [2, 3]
    assert [query.loop for query in query_backgrounds(records(0, None, 2))] == [0]
    assert query_backgrounds(records(None, None)) == []


def test_the_share_of_several_queries_is_that_of_their_patches():
    queries = [QueryBackground(1, 3, 4), QueryBackground(1, 0, 8)]
    assert pooled_share(queries) == 0.25
    assert pooled_share([]) is None
