"""The files that sentence-transformers writes: the pipeline, its modules, and how it is to be used."""

from __future__ import annotations

from revector.encoders.native.folder_fields.rules import Table, irrelevant, obeyed, refused

__all__ = ["FILES", "LIMITS_NAMES", "MODULES", "MODULE_CONFIGS", "MODULE_TYPES", "SENTENCE_CONFIG", "sentences_config"]

# The first of these that says anything is a transformer's own.
LIMITS_NAMES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_xlm-roberta_config.json",
)

# Modules by the last word of their type. What is not here is somebody's own.
MODULE_TYPES: Table = {
    **obeyed("the first module", "Transformer", "StaticEmbedding"),
    **obeyed("behind the first", "Pooling", "Dense", "Normalize"),
    **irrelevant("does nothing but in training", "Dropout"),
    **refused(
        "is a module that the core does not have",
        *("Router", "Asym", "CNN", "LSTM", "BoW", "WordEmbeddings", "WordWeights", "WeightedLayerPooling"),
        *("LayerNorm", "CLIPModel", "MLMTransformer", "SpladePooling", "SparseAutoEncoder", "SparseStaticEmbedding"),
        *("LogitScore", "TokenPooling", "MultiVectorMask"),
    ),
}

MODULES: Table = {
    **obeyed("which module, and where it lies", "type", "path"),
    **irrelevant("modules follow one another as they are listed", "idx", "name"),
    **irrelevant("names arguments that a caller may add", "kwargs"),
}

SENTENCE_CONFIG: Table = {
    **obeyed("tokens kept of a text", "max_seq_length"),
    **obeyed("lower-cases texts before they are tokenised", "do_lower_case"),
    **refused("only states of a text are built", "transformer_task", accepts=("feature-extraction",)),
    **refused(
        "only states of a text are built",
        "modality_config",
        accepts=({"text": {"method": "forward", "method_output_name": "last_hidden_state"}},),
    ),
    **refused("only states of tokens are built", "module_output_name", accepts=("token_embeddings",)),
    **refused("arguments for a tokeniser call are not read", "processing_kwargs", accepts=({},)),
    **refused(
        "arguments for classes of transformers are not read",
        *("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"),
        accepts=({},),
    ),
    **refused("queries and documents have one limit", "query_length", "document_length"),
    **refused("texts are not filled up with mask tokens", "query_expansion"),
    **irrelevant("does without padding; the numbers stay", "unpad_inputs"),
    **irrelevant("the tokeniser lies in the folder", "tokenizer_name_or_path", "cache_dir"),
    **irrelevant("chooses how torch runs the model", "backend"),
}

MODULE_CONFIGS: dict[str, Table] = {
    "Pooling": {
        **obeyed(
            "how the states of tokens become one vector",
            "pooling_mode",
            *("pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens"),
            *("pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"),
        ),
        **obeyed("whether the tokens of a prompt are pooled", "include_prompt"),
        **irrelevant("the width of the states says it", "word_embedding_dimension", "embedding_dimension"),
    },
    "Dense": {
        **obeyed("sizes of the layer", "in_features", "out_features", "bias"),
        **obeyed("behind the product", "activation_function", "use_residual"),
        **refused(
            "acts on the vector of a text only",
            *("module_input_name", "module_output_name"),
            accepts=("sentence_embedding",),
        ),
    },
    "Normalize": refused(
        "acts on the vector of a text only",
        *("module_input_name", "module_output_name"),
        accepts=("sentence_embedding",),
    ),
    "Dropout": irrelevant("does nothing but in training", "dropout"),
    "StaticEmbedding": {},
}

_NORMALISED = ("cosine", "dot", "dot_score", "cos_sim", "euclidean")


def sentences_config(*, normalized: bool) -> Table:
    """Return the table of config_sentence_transformers.json for a pipeline that ends in unit rows, or does not."""
    return {
        **obeyed("what stands before queries and documents", "prompts"),
        **obeyed("the first numbers of each vector are kept", "truncate_dim"),
        **refused(
            "revector compares by the cosine, which would find other documents; "
            "if the cosine will do for this model, write null instead",
            "similarity_fn_name",
            accepts=_NORMALISED if normalized else ("cosine", "cos_sim"),
            everywhere=True,
        ),
        **refused("only models of this kind give one vector a text", "model_type", accepts=("SentenceTransformer",)),
        **irrelevant("queries and documents have prompts of their own names", "default_prompt_name"),
        **irrelevant("describes what wrote the model", "__version__", "requirements"),
    }


# Files and folders beside one another; what is not named here is not read.
FILES: Table = {
    **obeyed("the pipeline", "modules.json"),
    **obeyed("the architecture", "config.json"),
    **obeyed("the weights", "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"),
    **obeyed(
        "the tokeniser", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
    ),
    **obeyed("limits and case of a transformer", *LIMITS_NAMES),
    **obeyed("prompts, and how vectors are compared", "config_sentence_transformers.json"),
    **obeyed("modules of the pipeline, each with a config.json", "1_Pooling", "2_Dense", "3_Dense", "2_Normalize"),
    **refused("weights of an adapter are to be merged first", "adapter_config.json"),
    **irrelevant(
        "tokenizer.json says the same and is read instead",
        *("vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model"),
    ),
    **irrelevant(
        "the same weights for other programs; they are read by torch only, and only without safetensors",
        *("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "rust_model.ot", "model.onnx", "onnx", "openvino"),
        *("coreml", "gguf"),
    ),
    **irrelevant("is for chats or generation", "generation_config.json", "chat_template.jinja"),
    **irrelevant("describes the model", "README.md", "LICENSE", "data_config.json", "train_script.py", "eval"),
    **irrelevant("code that comes with a model is not run", "*.py"),
}
