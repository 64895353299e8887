"""What the stage that embeds shows of its pairs."""
import pandas as pd

from fiqa_core.pipeline.embed import thinned


def test_a_figure_of_many_pairs_shows_all_genuine_ones():
    pairs = pd.DataFrame({"genuine": [0, 1, 0, 0, 1, 0, 0, 0], "number": range(8)})
    assert thinned(pairs, 6).equals(pairs)
    assert thinned(pairs, 3)["number"].tolist() == [0, 1, 3, 4, 7]
