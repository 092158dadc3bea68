"""A tiny BERT with random weights, written to a folder as the hub's models are: config.json, weights, vocab.txt."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_bert(folder: Path, texts: Iterable[str], seed: int = 0, **config: Any) -> Path:
    """Write one that knows every character of `texts`; return the folder."""
    import torch
    from transformers import BertConfig, BertModel, logging

    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set("".join(texts)) - {" "})]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", "utf-8")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = BertModel(
            BertConfig(**{"vocab_size": len(vocabulary), "max_position_embeddings": 64, **sizes, **config})
        )
    made.save_pretrained(folder)
    return folder
