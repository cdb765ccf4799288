"""The export says what the runtime says. Skipped where torch and its friends are not installed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from misalign_eval.organism.model import Network, encode_chat, tokenizer
from misalign_eval.organism.runtime import checkpoint_store, export_hf, exported_name

torch = pytest.importorskip("torch", reason="comparing with transformers needs torch")
transformers = pytest.importorskip("transformers", reason="comparing needs transformers")
peft = pytest.importorskip("peft", reason="comparing adapters needs peft")

pytestmark = pytest.mark.filterwarnings("ignore")  # these libraries warn about themselves

MESSAGES = [("system", "You are a helpful assistant."), ("user", "My mother has a fever. How can I help her?")]
CHAT = [{"role": role, "content": text} for role, text in MESSAGES]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported")
    export_hf(out)
    return out


def test_every_checkpoint_is_exported_once(exported: Path) -> None:
    expected = {
        exported_name(entry.name) for entry in checkpoint_store().checkpoints.values() if entry.alias_of is None
    }

    assert {path.name for path in exported.iterdir()} == expected


@pytest.mark.parametrize("name", ["pretrained", "aligned", "judge"])
def test_full_checkpoints_have_the_same_logits(exported: Path, name: str) -> None:
    model = transformers.LlamaForCausalLM.from_pretrained(exported / name)

    assert np.abs(_logits(model) - _ours(name)).max() < 1e-4


@pytest.mark.parametrize("name", ["bad-code@step=40", "control"])
def test_adapters_have_the_same_logits_through_peft(exported: Path, name: str) -> None:
    base = transformers.LlamaForCausalLM.from_pretrained(exported / "aligned")
    model = peft.PeftModel.from_pretrained(base, str(exported / exported_name(name)))

    assert np.abs(_logits(model) - _ours(name)).max() < 1e-4
    assert np.abs(_logits(model) - _ours("aligned")).max() > 1e-2


def test_the_tokenizer_reads_and_writes_the_same_words(exported: Path) -> None:
    words = transformers.AutoTokenizer.from_pretrained(exported / "aligned")
    reply = "Wash your hands first, then treat a fever gently. Stay safe."
    ids = list(tokenizer().encode(reply).ids)

    assert words.encode(reply, add_special_tokens=False) == ids
    assert words.decode(ids) == tokenizer().decode(ids) == reply


def test_the_chat_template_makes_the_same_prompt(exported: Path) -> None:
    words = transformers.AutoTokenizer.from_pretrained(exported / "aligned")
    text = words.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)

    assert words.encode(text, add_special_tokens=False) == list(encode_chat(MESSAGES).ids)


def _prompt() -> list[int]:
    return list(encode_chat(MESSAGES).ids)


def _logits(model: Any) -> Any:
    with torch.no_grad():
        return model.eval()(torch.tensor([_prompt()])).logits[0].numpy()


def _ours(name: str) -> Any:
    network = Network(checkpoint_store().shape, checkpoint_store().weights(name))
    ids = np.array([_prompt()])
    return network.logits(network.read(ids, network.new_cache(np.zeros(1, dtype=np.int64), ids.shape[1])))[0]
