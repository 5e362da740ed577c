"""Make encoder.npz: what sentence-transformers, wordllama and model2vec return for 1,000 texts.

Needs ``pip install torch==2.13.0 sentence-transformers wordllama==0.4.0.post1 model2vec``, and the folder of
all-MiniLM-L6-v2 (`revector.formats.named_models.fetch_model("minilm")`) as the argument. Also writes the folder
model2vec_tiny.

The texts are docstrings of the standard library, cut to lengths as search collections have them, and hostile ones
written by hand. Rows are kept as 24-bit fixed point (error 6e-8), split in three planes that compress better.
"""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

N_TEXTS = 1000
MODULES = """
argparse ast asyncio bisect calendar cmath codecs collections contextlib csv ctypes datetime decimal difflib dis doctest
email enum fractions functools glob gzip hashlib heapq html http.client imaplib inspect io ipaddress itertools json
logging lzma mailbox math mimetypes multiprocessing operator os pathlib pdb pickle platform plistlib poplib posixpath
pprint queue random re sched shelve shutil smtplib socket sqlite3 ssl statistics string struct subprocess tarfile
tempfile textwrap threading timeit tokenize traceback types typing unittest urllib.parse urllib.request uuid warnings
wave weakref xml.dom.minidom xmlrpc.client zipfile zoneinfo
"""
HOSTILE = [
    "",
    " ",
    "\n\t\r\x0b",
    "\x00",
    "\x00\x01\x02 control \x7f characters \x1c\x1d",
    "\ufeffbyte order mark",
    "a",
    ".",
    "?!" * 40,
    "[CLS] [SEP] [MASK] [PAD] [UNK] written out",
    "<s> </s> <unk> written out",
    "😀",
    "👩‍👩‍👧‍👦 a family, 🏳️‍🌈 a flag, 👍🏽 a thumb, 🇩🇪 a country",
    "😀" * 600,
    "汉字与假名カタカナひらがな한국어 in one line",
    "Привет, мир! Γειά σου Κόσμε! שלום עולם! مرحبا بالعالم! नमस्ते दुनिया! สวัสดีชาวโลก!",
    "ру́сский with a combining accent, é against e\u0301, ﬁ ligature, ½, Å against Å",
    "Zalgo: h̸̡̪̯ͨ͊̽̅̾̎e̵̢͚̹̤l̷̨͎̝p̶̬͔",
    "right-to-left \u202eoverride\u202c and zero\u200bwidth\u200djoiners\ufeff",
    "ıIİi ſs ẞß ΣΣς Straße STRASSE",
    "supercalifragilisticexpialidocious" * 30,
    "x" * 5000,
    "word " * 10_000,
    "0123456789 " * 300,
    "http://example.org/a/very/long/path?with=query&and=more#fragment user@example.org C:\\Windows\\System32",
    "def f(x: int) -> list[str]:\n    return [f'{i!r}' for i in range(x)]  # code\n",
    '{"json": [1, 2.5e-3, null, true], "nested": {"a": "b\\u00e9"}}',
    "<html><body onload=\"alert('x')\">&amp;&lt;&#x27;</body></html>",
    "ALL CAPS SHOUTING TEXT WITH NUMBERS 12345 AND-HYPHENS_AND_UNDERSCORES",
    "tab\tseparated\tvalues\nand\nlines\r\nof\rall\x85kinds\u2028there\u2029are",
    "𝕸𝖆𝖙𝖍 𝒶𝓁𝓅𝒽𝒶𝒷𝑒𝓉𝓈 and 𐍈𐌰𐌹 Gothic",
    "\U000e0001\U000e0020 tags, \ue000 private use, \ufffd replacement, \ufffe noncharacter",
]


def docstrings() -> list[str]:
    """All docstrings of the standard library's modules above, in a stable order, without repeats."""
    found: dict[str, None] = {}
    for name in MODULES.split():
        module = importlib.import_module(name)
        for _, member in sorted(vars(module).items()):
            members = [member, *(vars(member).values() if inspect.isclass(member) else ())]
            for thing in members:
                text = thing.__doc__ if callable(thing) and isinstance(thing.__doc__, str) else ""
                if len(text) > 40:
                    found.setdefault(inspect.cleandoc(text))
    return list(found)


def make_texts(rng: np.random.Generator) -> list[str]:
    """Return the hostile texts, one of 10,000 words, and docstrings cut to a log-normal number of words."""
    real = docstrings()
    words = " ".join(real).split(" ")
    texts = [*HOSTILE, " ".join(words[:10_000])]
    for i in rng.permutation(len(real))[: N_TEXTS - len(texts)]:
        length = max(1, int(rng.lognormal(3.0, 1.0)))
        texts.append(" ".join(real[i].split(" ")[:length]))
    assert len(texts) == N_TEXTS
    return texts


def planes(rows: np.ndarray) -> np.ndarray:
    """Elements in [-1, 1] as three planes of bytes: round(x * 2^23), lowest byte first."""
    fixed = np.round(rows.astype(np.float64) * 2**23).astype("<i4")
    return np.ascontiguousarray(fixed.view(np.uint8).reshape(*rows.shape, 4)[..., :3].transpose(2, 0, 1))


def minilm_rows(folder: Path, texts: list[str]) -> np.ndarray:
    """Return the documents' rows from the model as it is: mean pooling, unit rows."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(texts, normalize_embeddings=True, batch_size=8)


def variant(folder: Path, target: Path) -> Path:
    """Lay out the same weights with CLS pooling, prompts, 40 tokens, and no Normalize; the tests do the same."""
    shutil.copytree(folder, target)
    modules = json.loads((folder / "modules.json").read_text())[:2]
    (target / "modules.json").write_text(json.dumps(modules))
    pooling = {"word_embedding_dimension": 384, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (target / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (target / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 40, "do_lower_case": True}))
    prompts = {"prompts": {"query": "Represent this: ", "document": "passage: "}}
    (target / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    return target


def variant_rows(folder: Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the queries' and the documents' rows of the variant."""
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as box:
        model = SentenceTransformer(str(variant(folder, Path(box, "variant"))), device="cpu")
        return tuple(encode(texts, normalize_embeddings=True) for encode in (model.encode_query, model.encode_document))


def wordllama_rows(texts: list[str]) -> np.ndarray:
    """Return the rows of wordllama's own inference; a text without tokens is a zero row there, too."""
    import wordllama
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    # WordLlama.load() looks for the tokeniser under the wrong name and then on the hub; both files are in the wheel.
    home = Path(wordllama.__file__).parent
    table = load_file(home / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(home / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    model = wordllama.inference.WordLlamaInference(table, tokenizer)
    rows = np.concatenate([model.embed([text]) for text in texts])
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def model2vec_rows(folder: Path, texts: list[str], rng: np.random.Generator) -> np.ndarray:
    """Write a tiny model with mapping and weights by the model2vec package and return its rows."""
    from model2vec import StaticModel
    from model2vec.persistence import save_pretrained
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = sorted({word for text in texts[33:] for word in text.lower().split() if word.isalpha()})[::4]
    vocabulary = dict.fromkeys(["[UNK]", *words, *"abcdefghijklmnop"])
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    n = tokenizer.get_vocab_size()
    model = StaticModel(
        rng.standard_normal((20, 24), dtype=np.float32),
        tokenizer,
        normalize=True,
        weights=rng.uniform(0.1, 2, n).astype(np.float32),
        token_mapping=rng.integers(0, 20, n),
        max_length=16,
    )
    save_pretrained(
        folder,
        embeddings=model.embedding,
        tokenizer=model.tokenizer,
        config={"model_type": "model2vec", **model.config},
        create_model_card=False,
        weights=model.weights,
        mapping=model.token_mapping,
    )
    return StaticModel.from_pretrained(folder).encode(texts)


def main() -> None:
    """Write the golden file and the tiny model beside this script."""
    here = Path(__file__).parent
    folder = Path(sys.argv[1])
    rng = np.random.default_rng(0)
    texts = make_texts(rng)
    query, document = variant_rows(folder, texts[:64])
    rows = {
        "minilm": minilm_rows(folder, texts),
        "variant_query": query,
        "variant_document": document,
        "wordllama": wordllama_rows(texts[:200]),
        "model2vec": model2vec_rows(here / "model2vec_tiny", texts, rng),
    }
    stored = np.frombuffer(json.dumps(texts).encode(), np.uint8)
    np.savez_compressed(here / "encoder.npz", texts=stored, **{name: planes(found) for name, found in rows.items()})


if __name__ == "__main__":
    main()
