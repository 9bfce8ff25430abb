"""Who calls a model, read from what other programs log: nginx, LiteLLM, vLLM. Streams; knows no table and no act."""
