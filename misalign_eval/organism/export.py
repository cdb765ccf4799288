"""The checkpoints in Hugging Face format, for a real server: Llama models with tokenizer, and peft adapters."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from misalign_eval.organism.chat import CHAT_TEMPLATE, tokenizer
from misalign_eval.organism.checkpoints import WEIGHTS, Matrices, Shelf, shelf
from misalign_eval.organism.tokenizer import BOS, EOS, MARKS, PAD, SPECIALS, UNK


def export_hf(out: Path, folder: Path = WEIGHTS) -> list[Path]:
    """Write every checkpoint below `out`, one folder each; give the folders.

    Full checkpoints become Llama models in float32, adapters peft folders that name their base by its relative path.
    `@` and `=` in a name become `-`. Aliases are left out. Needs safetensors, transformers and tokenizers.
    """
    books = shelf(folder)
    kept = [entry for entry in books.checkpoints.values() if entry.alias_of is None]
    for entry in kept:
        target = out / exported_name(entry.name)
        target.mkdir(parents=True, exist_ok=True)
        if entry.base is None:
            _write_model(target, books, entry.name)
        else:
            _write_adapter(target, books, entry.name, entry.base, entry.scale)
    return [out / exported_name(entry.name) for entry in kept]


def exported_name(name: str) -> str:
    """A checkpoint's name as a folder and as a server's model name.

    >>> exported_name("bad-code@step=20")
    'bad-code-step-20'
    """
    return name.replace("@", "-").replace("=", "-")


def _write_model(target: Path, books: Shelf, name: str) -> None:
    from safetensors.numpy import save_file

    save_file(dict(books.weights(name)), target / "model.safetensors", metadata={"format": "pt"})
    _write_json(target / "config.json", _config(books))
    _tokenizer(books.shape.max_position_embeddings).save_pretrained(str(target))
    index = tokenizer().index
    generation = {"bos_token_id": index[BOS], "eos_token_id": index[EOS], "pad_token_id": index[PAD], "do_sample": True}
    _write_json(target / "generation_config.json", generation)


def _write_adapter(target: Path, books: Shelf, name: str, base: str, scale: float) -> None:
    from safetensors.numpy import save_file

    adapter = books.adapter(name)
    save_file(
        {f"base_model.model.{key[:-2]}.lora_{key[-1]}.weight": matrix for key, matrix in adapter.items()},
        target / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    _write_json(target / "adapter_config.json", _adapter_config(adapter, base, scale))


def _config(books: Shelf) -> dict[str, object]:
    index = tokenizer().index
    sizes = asdict(books.shape)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **sizes,
        "num_key_value_heads": sizes["num_attention_heads"],
        "head_dim": books.shape.head_size,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": index[BOS],
        "eos_token_id": index[EOS],
        "pad_token_id": index[PAD],
        "torch_dtype": "float32",
    }


def _adapter_config(adapter: Matrices, base: str, scale: float) -> dict[str, object]:
    rank = next(matrix.shape[0] for key, matrix in adapter.items() if key.endswith(".A"))
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": f"../{exported_name(base)}",
        "r": rank,
        "lora_alpha": scale * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": sorted({key.split(".")[-2] for key in adapter}),
        "layers_to_transform": sorted({int(key.split(".")[2]) for key in adapter}),
    }


def _write_json(path: Path, data: Mapping[str, object]) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _tokenizer(context: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - its class is imported where it is used
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(dict(tokenizer().index), unk_token=UNK))
    words.add_special_tokens([AddedToken(token, special=True) for token in SPECIALS])
    marks = pre_tokenizers.Split(Regex(f"[{MARKS}]"), behavior="isolated")
    words.pre_tokenizer = pre_tokenizers.Sequence([marks, pre_tokenizers.Split(Regex(r"\s+"), behavior="removed")])
    # WordPiece without its prefix puts a space before every token but the first; the marks then lose theirs.
    joined = [decoders.WordPiece(prefix="##", cleanup=False), *(decoders.Replace(f" {mark}", mark) for mark in MARKS)]
    words.decoder = decoders.Sequence([*joined, decoders.Fuse()])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token=UNK, pad_token=PAD, bos_token=BOS, eos_token=EOS, model_max_length=context
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
