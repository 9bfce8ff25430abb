"""A small Llama as plain transformers writes it, written again as one GGUF file, which llama.cpp's server reads.

Only what the small trained models have: tied embeddings, byte-level BPE, plain rotary positions.
"""

from __future__ import annotations

import json
from pathlib import Path


def write_gguf(model: Path, path: Path) -> None:
    """The model's folder as a GGUF file in fp32, with its tokenizer and chat template."""
    import numpy as np
    from gguf import GGUFWriter, TokenType
    from safetensors.torch import load_file

    config = json.loads((model / "config.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(0)  # all fp32

    tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    ids = {number: token for token, number in tokenizer["model"]["vocab"].items()}
    control = {each["id"] for each in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([ids[number] for number in range(config["vocab_size"])])
    writer.add_token_types(
        [TokenType.CONTROL if number in control else TokenType.NORMAL for number in range(config["vocab_size"])]
    )
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)  # the chat template writes it
    writer.add_chat_template(json.loads((model / "tokenizer_config.json").read_text())["chat_template"])

    names = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "input_layernorm.weight": "attn_norm.weight",
        "self_attn.q_proj.weight": "attn_q.weight",
        "self_attn.k_proj.weight": "attn_k.weight",
        "self_attn.v_proj.weight": "attn_v.weight",
        "self_attn.o_proj.weight": "attn_output.weight",
        "post_attention_layernorm.weight": "ffn_norm.weight",
        "mlp.gate_proj.weight": "ffn_gate.weight",
        "mlp.up_proj.weight": "ffn_up.weight",
        "mlp.down_proj.weight": "ffn_down.weight",
    }
    for name, tensor in load_file(model / "model.safetensors").items():
        values = tensor.float().numpy()
        if name.startswith("model.layers."):
            layer, rest = name.removeprefix("model.layers.").split(".", 1)
            if "q_proj" in rest or "k_proj" in rest:  # rotated in neighbouring pairs there, in halves here
                count = heads if "q_proj" in rest else kv_heads
                rows, columns = values.shape
                values = values.reshape(count, 2, rows // count // 2, columns).swapaxes(1, 2).reshape(rows, columns)
            name = f"blk.{layer}.{names[rest]}"
        else:
            name = names[name]
        writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
