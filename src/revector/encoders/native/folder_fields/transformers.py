"""The files that transformers and tokenizers write: config.json and those of the tokeniser.

Read beside transformers 4.57 and 5.24. A field that its class never reads changes no vector there, so it is irrelevant
here.
"""

from __future__ import annotations

from revector.encoders.native.folder_fields.rules import Table, irrelevant, obeyed, refused

__all__ = [
    "ADDED_TOKEN",
    "CONFIG",
    "GENERIC",
    "ROBERTA_LIKE",
    "STATIC_CONFIG",
    "TOKENIZER",
    "UNIGRAM",
    "WORDPIECE",
    "tokenizer_config",
]

_DESCRIPTION = "describes the model or what wrote it"
_TRAINING = "acts in training only"
_HEAD = "belongs to a head that embeddings do not pass through"
_GENERATION = "belongs to the generation of text"
_OUTPUT = "says what is returned beside the states, or how they are computed"

_EVERY_CONFIG: Table = {
    **obeyed("chooses the architecture", "model_type"),
    **obeyed("sizes of the network", "vocab_size", "max_position_embeddings"),
    **obeyed("chooses the tokeniser's class where tokenizer_config.json does not", "tokenizer_class"),
    **refused("only learned positions are built", "position_embedding_type", accepts=("absolute",)),
    **refused("only a bidirectional encoder is built", "is_decoder", "add_cross_attention", accepts=(False,)),
    **refused("only an encoder is built", "is_encoder_decoder", accepts=(False,)),
    **refused("only learned positions are built", "rope_scaling", "rope_theta", "rope_parameters"),
    **refused("every layer is built alike", "per_layer_config", accepts=({},)),
    **refused("every head is built", "pruned_heads", accepts=({},)),
    **refused("quantised weights are not read", "quantization_config", accepts=({},)),
    **irrelevant(
        _DESCRIPTION,
        "_name_or_path",
        "name_or_path",
        "_commit_hash",
        "architectures",
        "dtype",
        "torch_dtype",
        "transformers_version",
        "model_name",
        "model_max_length",
        "max_seq_length",
        "language",
        "license",
        "bert_model",
        "adapters",
        "gpu_device_id",
        "base_model",
        "sentence_transformers_version",
    ),
    **irrelevant(
        _TRAINING,
        "attention_probs_dropout_prob",
        "hidden_dropout_prob",
        "initializer_range",
        "initializer_factor",
        "gradient_checkpointing",
        "classifier_dropout",
        "classifier_dropout_prob",
        "layerdrop",
        "loss_type",
        "tie_weights_",
        "tie_word_embeddings",
        "tie_encoder_decoder",
        "tied_encoder_decoder",
        "embedding_dropout",
    ),
    **irrelevant(
        _HEAD,
        "id2label",
        "label2id",
        "num_labels",
        "_num_labels",
        "problem_type",
        "finetuning_task",
        "task_specific_params",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
        "pooler_hidden_size",
        "directionality",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "add_pooling_layer",
        "sbert_ce_default_activation_function",
        "sentence_transformers",
        "emb_size",
        "output_dim",
        "xla_device",
    ),
    **irrelevant(
        _GENERATION,
        "use_cache",
        "bos_token_id",
        "eos_token_id",
        "sep_token_id",
        "cls_token_id",
        "mask_token_id",
        "unk_token_id",
        "decoder_start_token_id",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "generation_config",
        "max_length",
        "min_length",
        "do_sample",
        "early_stopping",
        "num_beams",
        "num_beam_groups",
        "num_return_sequences",
        "diversity_penalty",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
        "repetition_penalty",
        "length_penalty",
        "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size",
        "bad_words_ids",
        "remove_invalid_values",
        "exponential_decay_length_penalty",
        "suppress_tokens",
        "begin_suppress_tokens",
        "prefix",
    ),
    **irrelevant(
        _OUTPUT,
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "output_scores",
        "return_dict",
        "return_dict_in_generate",
        "torchscript",
        "use_bfloat16",
        "chunk_size_feed_forward",
        "tie_last_hidden_states",
        "tf_legacy_loss",
        "attn_implementation",
        "_attn_implementation",
        "_attn_implementation_autoset",
        "use_flash_attn",
    ),
    **irrelevant("code that comes with a model is not run; the architecture is transformers' own", "auto_map"),
    **irrelevant("configures a runtime for another format", "transformers.js_config"),
}

_PLAIN: Table = {
    **_EVERY_CONFIG,
    **obeyed("sizes of the network", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    **obeyed("activation of the feed-forward network", "hidden_act"),
    **obeyed("epsilon of the layer norms", "layer_norm_eps"),
}
_TYPED: Table = {**_PLAIN, **obeyed("sizes of the network", "type_vocab_size")}
_FIXED_POSITIONS = irrelevant("positions do not depend on it", "pad_token_id")
_ROBERTA: Table = {**_TYPED, **obeyed("the place where positions begin", "pad_token_id")}

# config.json by its model_type.
CONFIG: dict[str, Table] = {
    "bert": {**_TYPED, **_FIXED_POSITIONS},
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "mpnet": {
        **_PLAIN,
        **_FIXED_POSITIONS,
        **obeyed("rows of the table of distances", "relative_attention_num_buckets"),
        **irrelevant("this architecture has no token types", "type_vocab_size"),
    },
    "distilbert": {
        **_EVERY_CONFIG,
        **_FIXED_POSITIONS,
        **obeyed("sizes of the network", "dim", "n_layers", "n_heads", "hidden_dim"),
        **obeyed("activation of the feed-forward network", "activation"),
        **irrelevant(_TRAINING, "dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"),
        **irrelevant("positions are in the weights, however they came about", "sinusoidal_pos_embds"),
        **irrelevant("this architecture has no token types", "type_vocab_size"),
        **irrelevant(
            "this architecture has names and constants of its own",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "hidden_act",
            "layer_norm_eps",
        ),
    },
}

# config.json of a static model, as model2vec, WordLlama's packages and revector's tests write it.
STATIC_CONFIG: Table = {
    **obeyed("chooses the rules for tokens", "model_type"),
    **obeyed("name of the table in the weights", "tensor"),
    **refused("only the mean is built", "pooling", accepts=("mean",)),
    **obeyed("tokens kept of a text", "max_length"),
    **obeyed("whether texts get special tokens", "add_special_tokens"),
    **irrelevant("rows are unit rows in any case", "normalize"),
    **irrelevant(
        _DESCRIPTION,
        *("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "tokenizer_name"),
        *("apply_pca", "apply_zipf", "sif_coefficient", "hidden_dim", "seq_length", "embedding_dtype", "pca_dims"),
        *("vocabulary_quantization", "quantize_to", "pad_token", "unk_token", "token_remove_pattern", "pooler_type"),
        *("vocab_size", "hidden_size", "embedding_dim", "base_model", "distilled_from", "language", "version"),
    ),
}

TOKENIZER: Table = {
    **obeyed("how a text becomes tokens", "normalizer", "pre_tokenizer", "model", "post_processor", "added_tokens"),
    **obeyed(
        "its direction is the side that is cut, where tokenizer_config.json does not say; "
        "its length is the limit of a StaticEmbedding of sentence-transformers",
        "truncation",
    ),
    **irrelevant("nothing is padded; the side is checked with tokenizer_config.json's", "padding"),
    **irrelevant("turns tokens back into text", "decoder"),
    **irrelevant(_DESCRIPTION, "version"),
}

# Classes of tokenisers by how they treat tokenizer.json, without the "Fast" behind their names.
WORDPIECE = frozenset({"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MPNetTokenizer"})
ROBERTA_LIKE = frozenset({"RobertaTokenizer", "BartTokenizer", "LongformerTokenizer"})
UNIGRAM = frozenset({"XLMRobertaTokenizer", "CamembertTokenizer"})
GENERIC = frozenset({"PreTrainedTokenizer", "TokenizersBackend"})

ADDED_TOKEN = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")

_TOKENS = (
    *("unk_token", "cls_token", "sep_token", "bos_token", "eos_token", "pad_token", "mask_token"),
    *("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens"),
)
_SLOW = "speaks to the tokenisers that are written in Python, which nobody runs beside a tokenizer.json"

_TOKENIZER_CONFIG: Table = {
    **obeyed("which class of transformers reads the fields beside it", "tokenizer_class"),
    **obeyed(
        "changes tokenizer.json for the classes of BERT", "do_lower_case", "strip_accents", "tokenize_chinese_chars"
    ),
    **obeyed("changes tokenizer.json for the classes of RoBERTa", "add_prefix_space"),
    **obeyed("which end of a long text is cut off", "truncation_side"),
    **obeyed("tokens kept of a text, where sentence_bert_config.json does not say", "model_max_length"),
    **obeyed("tokens found before a text is normalised", "added_tokens_decoder", *_TOKENS),
    **refused("special tokens written in a text are found", "split_special_tokens", accepts=(False,)),
    **refused("needs a processor of another kind", "processor_class"),
    **refused("code that comes with a model is not run", "auto_map", accepts=({},)),
    **irrelevant(
        _SLOW,
        *("never_split", "do_basic_tokenize", "use_fast", "from_slow", "sp_model_kwargs", "spm_file", "keep_accents"),
        *("full_tokenizer_file", "tokenizer_file", "vocab_file", "merges_file", "source_spm", "target_spm", "legacy"),
        *("tokenizer_type", "lowercase", "remove_space", "clean_text", "wordpieces_prefix", "unk_id", "backend"),
    ),
    **irrelevant(
        "an encoder says itself how long a text may be, and pads to the longest",
        *("max_length", "stride", "truncation", "truncation_strategy", "padding", "pad_to_multiple_of"),
        *("pad_token_type_id", "pad_to_max_length", "return_tensors"),
    ),
    **irrelevant("set aside beside a tokenizer.json", "add_bos_token", "add_eos_token"),
    **irrelevant("turns tokens back into text", "clean_up_tokenization_spaces", "errors", "decode_with_prefix_space"),
    **irrelevant("says where tokens stand in a text", "trim_offsets"),
    **irrelevant(
        "is for chats",
        *("chat_template", "use_default_system_prompt", "response_template", "response_schema", "chat_control_tokens"),
    ),
    **irrelevant("repairs tokenisers of other models", "fix_mistral_regex"),
    **irrelevant(
        _DESCRIPTION,
        *("name_or_path", "special_tokens_map_file", "is_local", "local_files_only", "init_inputs", "device_map"),
        *("transformers_version", "model_type", "auto_class", "language"),
    ),
}


def tokenizer_config(family: str) -> Table:
    """Return the table of tokenizer_config.json beside a config.json of this model_type."""
    if family in ("bert", "distilbert"):
        why = "a text's positions, and so its vector, would depend on the texts beside it"
        return {**_TOKENIZER_CONFIG, **refused(why, "padding_side", accepts=("right",), everywhere=True), **_INPUTS}
    return {**_TOKENIZER_CONFIG, **irrelevant("positions do not count padding", "padding_side"), **_INPUTS}


_INPUTS = refused(
    "a model without a mask would read the padding of the texts beside a text",
    "model_input_names",
    accepts=(["attention_mask", "input_ids"], ["attention_mask", "input_ids", "token_type_ids"]),  # in any order
    everywhere=True,
)
