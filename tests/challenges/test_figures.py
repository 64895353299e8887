"""What the challenges' figures arrange before they draw."""
import pandas as pd

from fiqa_core.challenges.figures import with_aligned


def test_the_aligned_point_stands_in_every_panel():
    table = pd.DataFrame({"change": ["landmark jitter", "landmark jitter", "scale", "scale"],
                          "level": [0, 3, 0.9, 1.1], "fnmr": [1, 2, 3, 4]})
    scale = with_aligned(table).query("change == 'scale'")
    assert scale["level"].tolist() == [0.9, 1.0, 1.1] and scale["fnmr"].tolist() == [3, 1, 4]
