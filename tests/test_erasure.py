"""The erasure of voices from content: a linear reader finds nothing, and what else there is stays."""

import numpy as np
import pytest

from emotts.content.erasure import voice_projection


def made_up(n_voices: int = 5, width: int = 24) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return frames, means of utterances, and voices that differ along n_voices - 1 directions."""
    rng = np.random.default_rng(0)
    offsets = 0.5 * rng.standard_normal((n_voices, width))
    frames, means, voices = [], [], []
    for k in range(n_voices):
        for _ in range(30):
            rows = rng.standard_normal((40, width)) * np.linspace(0.3, 2.0, width) + offsets[k]
            frames.append(rows)
            means.append(rows.mean(axis=0))
            voices.append(f"voice{k}")
    return np.concatenate(frames), np.stack(means), voices


def accuracy(means: np.ndarray, voices: list[str]) -> float:
    """Return how often the nearest mean of the other half of the utterances is of the same voice."""
    names = sorted(set(voices))
    labels = np.array([names.index(voice) for voice in voices])
    half = np.arange(len(labels)) % 2 == 0
    spread = means[half].std(axis=0) + 1e-9
    centres = np.stack([means[half & (labels == k)].mean(axis=0) for k in range(len(names))])
    distance = (((means[~half, None] - centres[None]) / spread) ** 2).sum(axis=-1)
    return float((distance.argmin(axis=1) == labels[~half]).mean())


def test_voices_are_told_before_and_not_after() -> None:
    frames, means, voices = made_up()
    centre = frames.mean(axis=0)
    projection = voice_projection(frames, means, voices, 4)
    assert accuracy(means, voices) > 0.9
    assert accuracy((means - centre) @ projection + centre, voices) < 0.35  # chance is 0.2
    own = np.stack([means[np.array(voices) == name].mean(axis=0) for name in sorted(set(voices))])
    assert np.abs((own - means.mean(axis=0)) @ projection).max() < 1e-2


def test_it_is_a_projection_of_the_rank_asked_and_changes_frames_little() -> None:
    frames, means, voices = made_up()
    projection = voice_projection(frames, means, voices, 4)
    assert np.allclose(projection @ projection, projection, atol=1e-9)
    assert np.linalg.matrix_rank(projection) == 20
    assert np.allclose(voice_projection(frames, means, voices, 0), np.eye(24))
    centred = frames - frames.mean(axis=0)
    taken = centred - centred @ projection
    whitened = np.linalg.inv(np.linalg.cholesky(np.cov(frames.T)))
    assert ((taken @ whitened.T) ** 2).sum() < 1.05 * 4 / 24 * ((centred @ whitened.T) ** 2).sum()


@pytest.mark.parametrize(("rank", "n"), [(24, 5), (-1, 5), (2, 1)])
def test_what_cannot_be_erased_is_refused(rank: int, n: int) -> None:
    frames, means, voices = made_up(n)
    with pytest.raises(ValueError, match="erasure needs"):
        voice_projection(frames, means, voices, rank)
