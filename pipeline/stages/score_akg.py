"""Score captions the way AKG-sv scores its own, for comparison with that paper's figures and with no others.

AKG-sv reads its references back from the model's input: they are cut to the length of the longest training caption,
words outside the vocabulary are deleted, letters are lower case, punctuation is gone, and words are not split by the
Penn Treebank tokenizer. What is left is easier to match than what people wrote, so the figures are higher than those of
`score_captions`. Here references are cut to the vocabulary's `max_words`, and words are split by its `tokenizer`, which
is `bare` in the paper's configurations.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.artifact import read_json, write_json
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.errors import PipelineError
from pipeline.scoring.coco import score_tokenised
from pipeline.scoring.tokenising import split_all
from pipeline.vocabulary import Vocabulary


def run(*, captions: Path, references: Path, vocabulary: Path, split: str, out: Path) -> None:
    """Score the captions generated for one split against references cut down to the vocabulary.

    Args:
        captions: Generated captions of `generate_captions`.
        references: The data set's captions.json: references and splits.
        vocabulary: The experiment's vocabulary (JSON): its words, and how many words of a caption are kept.
        split: The split to score: train, val or test.
        out: Where the scores go (JSON), which are comparable with AKG-sv's figures alone.

    Raises:
        PipelineError: No video of the split has both a generated caption and a reference.
    """
    generated = read_json(captions, ["captions"], "generate_captions")["captions"]
    dataset = read_json(references, ["captions", "splits"], "index_captions")
    words = read_vocabulary(vocabulary)
    ids = dataset["splits"].get(split, [])
    scored = [i for i in ids if i in generated and dataset["captions"].get(i)]
    if not scored:
        raise PipelineError(
            f"{captions}: none of the {len(ids)} videos of split '{split}' has both a generated caption and a "
            f"reference in {references}; check the split and its videos' failures in the report"
        )
    sentences = [sentence for i in scored for sentence in (generated[i], *dataset["captions"][i])]
    of_sentences = iter(split_all(sentences, words.tokenizer))
    truth, hypotheses = {}, {}
    for i in scored:
        hypotheses[i] = [" ".join(next(of_sentences))]
        truth[i] = [cut_down(next(of_sentences), words) for _ in dataset["captions"][i]]
    metrics, _ = score_tokenised(truth, hypotheses)
    write_json(out, {"split": split, "metrics": metrics, "num_videos": len(ids), "num_covered": len(scored)})
    print("  ".join(f"{name} {value:.3f}" for name, value in metrics.items()))


def cut_down(reference: Sequence[str], vocabulary: Vocabulary) -> str:
    """Keep the first `max_words` words of a reference, and of these the ones in the vocabulary, which may be none."""
    return " ".join(vocabulary.words_of(vocabulary.encode(reference)))
