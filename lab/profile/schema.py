"""The profile: every key that a fine-tuning run can be told, with its default and its bounds.

An attribute's docstring is its help text: `lab profiles show`, the console and error messages read it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

MetricName = Literal[
    "bleu",
    "chrf",
    "rouge",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "token_f1",
    "exact_match",
    "json_match",
    "accuracy",
    "macro_f1",
    "bertscore",
    "perplexity",
    "bits_per_byte",
]


RUN = r"^(|previous|run:[A-Za-z0-9._-]+)$"
"""How a profile names another run: by any unique part of its id."""


class Section(BaseModel):
    """One table of a profile: unknown keys are refused, values never change type silently, nothing changes later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Model(Section):
    name: str = Field(default="bundled:smollm2-135m-instruct", min_length=1)
    """Hub id, path of a folder, or "bundled:smollm2-135m-instruct"."""
    revision: str = "main"
    """Branch, tag or commit of a hub model; the commit is recorded in the run."""
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """Precision of the weights; auto is bf16 where the hardware truly has it, else fp16 on CUDA, fp32 on CPU."""
    quantization: Literal["none", "nf4", "int8"] = "none"
    """Quantisation of the frozen base; method.kind = "qlora" means nf4 unless set here."""
    double_quant: bool = False
    """Quantise the quantisation constants too: smaller, slower."""
    attention: Literal["auto", "sdpa", "eager", "varlen", "flash_attention_2"] = "auto"
    """Attention implementation."""
    adapter: str = Field(default="", pattern=RUN)
    """What another run trained, to begin with: "run:<id>", or "previous" in a stage of a study."""
    adapter_mode: Literal["continue", "stack", "merge"] = "continue"
    """What happens to that adapter: train it on, freeze it and add one, or fold it in first."""
    trust_remote_code: bool = False
    """Run the Python code that comes with a hub model."""


class Method(Section):
    kind: Literal["baseline", "lora", "qlora", "top-layer", "full"] = "lora"
    """What trains: nothing, an adapter, an adapter over a quantised base, the last blocks, everything."""
    rank: int = Field(default=16, ge=1, le=4096)
    """Rank of the adapter's matrices."""
    alpha: int = Field(default=32, ge=1)
    """Scale of the adapter: alpha / rank multiplies its output."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout before the adapter."""
    target_modules: str | list[str] = "all-linear"
    """"all-linear", "attention" (q, k, v, o), "mlp", or a list of module names."""
    variant: Literal["lora", "dora", "rslora", "pissa"] = "lora"
    """Form of the adapter."""
    layers: int = Field(default=1, ge=1)
    """Top-layer: how many of the last blocks train."""
    head: bool = False
    """Top-layer: the head trains too."""
    orthogonal_to: str = Field(default="", pattern=RUN)
    """Keep the adapter's directions orthogonal to those of "run:<id>" or of the "previous" stage."""

    @field_validator("target_modules")
    @classmethod
    def _targets(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, str) and value not in ("all-linear", "attention", "mlp"):
            raise ValueError('should be "all-linear", "attention", "mlp" or a list of module names')
        if not value:
            raise ValueError("should name at least one module")
        return value


class Source(Section):
    name: str = Field(min_length=1)
    """Hub id, path of a JSON, JSONL, CSV or Parquet file, or "bundled:helpdesk"."""
    config: str = ""
    """Configuration of a hub data set."""
    split: str = "train"
    """Split from which all rows are drawn."""
    revision: str = "main"
    """Branch, tag or commit of a hub data set."""
    stream: int = Field(default=0, ge=0)
    """Rows to draw from of a hub set too large to download, taken in a seeded order as they stream; 0 downloads all."""
    format: Literal[
        "auto", "alpaca", "sharegpt", "messages", "prompt-completion", "text", "squad", "sst2", "pubmedqa"
    ] = "auto"
    """Shape of the rows; auto looks at their columns."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Names of the columns where they differ from the format's own: {output = "answer"}."""
    train: int = Field(default=0, ge=0)
    """Rows to train on; 0 takes what validation and test leave."""
    validation: int = Field(default=0, ge=0)
    """Rows for the loss during training."""
    test: int = Field(default=0, ge=0)
    """Rows for evaluation, never trained on."""


class Data(Section):
    source: list[Source] = Field(default_factory=list)
    """Where rows come from; counts add up over sources."""
    seed: int = 42
    """Seed of the draw of rows."""
    system_prompt: str = ""
    """System message for rows that have none."""
    train_on: Literal["all-assistant", "last"] = "all-assistant"
    """Which assistant turns are supervised."""
    clean: list[Literal["meta-instructions", "dedupe"]] = Field(default_factory=list)
    """Cleaning before the split: meta-instructions cuts "Include an example" and the like from user turns, dedupe drops
    repeated exchanges."""
    max_length: int = Field(default=2048, ge=8)
    """Longest row in tokens."""
    overlong: Literal["drop", "truncate", "error"] = "drop"
    """What happens to a longer row."""
    template: str = "auto"
    """Chat template: auto is the tokenizer's own, and Alpaca's text for a base model without one; or a Jinja file."""
    group_by: str = ""
    """Rows that share this field stay on one side of the split, and intervals are drawn by it."""


class Train(Section):
    epochs: float = Field(default=1.0, gt=0.0)
    """Passes over the training rows."""
    max_steps: int = Field(default=0, ge=0)
    """Optimiser steps; above 0 it replaces epochs."""
    examples_per_step: int = Field(default=16, ge=1)
    """Rows an optimiser step, exactly, however they are split into micro-batches."""
    tokens_per_step: int = Field(default=0, ge=0)
    """Packed tokens an optimiser step; above 0 it replaces examples_per_step."""
    micro_batch: int = Field(default=0, ge=0)
    """Rows that go through the model at once; 0 lets the recipe decide."""
    learning_rate: float = Field(default=2e-4, gt=0.0, le=1.0)
    """Peak learning rate."""
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    """Course of the learning rate after the warm-up."""
    warmup_ratio: float = Field(default=0.03, ge=0.0, lt=1.0)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """Weight decay of AdamW."""
    max_grad_norm: float = Field(default=1.0, gt=0.0)
    """Gradients are scaled down to this norm."""
    optimizer: Literal["auto", "adamw", "adamw_8bit", "paged_adamw_8bit", "paged_adamw"] = "auto"
    """Optimiser."""
    checkpointing: str = Field(default="auto", pattern=r"^(auto|off|all|every-[1-9][0-9]*)$")
    """Activation checkpointing: auto, off, all, or every-n blocks."""
    save_every: int = Field(default=200, ge=0)
    """Optimiser steps between checkpoints; 0 saves only at the end and at a stop."""
    eval_every: int = Field(default=200, ge=0)
    """Optimiser steps between losses on the validation rows; 0 measures none."""
    early_stopping_patience: int = Field(default=0, ge=0)
    """Validation losses without a new best after which training ends; 0 never."""
    keep: Literal["last", "best"] = "last"
    """Which adapter is kept: the last, or the best by validation loss."""
    seed: int = 42
    """Seed of initial adapter, order of rows and dropout."""
    threads: int = Field(default=0, ge=0)
    """CPU threads; 0 takes the physical cores."""
    report_to: list[Literal["tensorboard", "wandb", "trackio"]] = Field(default_factory=list)
    """Trackers to copy the curves to; nothing leaves the machine unless named."""


class Task(Section):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,59}$")
    """A test set other than the training data's: sst2, sst2-likelihood, squad, pubmedqa, pubmedqa-likelihood,
    alpaca-eval, general-prompts, course-prompts; or a name of your own for a source or a list of prompts."""
    source: Source | None = None
    """Its rows, with the keys of data.source but its counts; a known task has its own."""
    prompts: str = ""
    """File of prompts without references: one a line (.txt), or rows with a column "prompt" or "instruction"."""
    rows: int = Field(default=0, ge=0)
    """A seeded subset of its rows; 0 takes all."""
    metrics: list[MetricName] = Field(default_factory=list)
    """Metrics; none takes the known task's, else those of evaluate.metrics."""
    mode: Literal["auto", "generate", "likelihood"] = "auto"
    """How it is answered: by generation, or by the likeliest of its labels; auto is the known task's, else generate."""
    labels: list[str] = Field(default_factory=list)
    """Answers among which the likelihood chooses; none takes the known task's, else all that its rows have."""
    max_new_tokens: int = Field(default=0, ge=0)
    """Longest answer in tokens; 0 takes the known task's, else evaluate.max_new_tokens."""


class Evaluate(Section):
    rows: int = Field(default=200, ge=0)
    """A seeded subset of the test rows, the same for every row of a table; 0 takes all."""
    metrics: list[MetricName] = Field(default=["bleu", "rouge", "token_f1", "exact_match", "perplexity"])
    """Metrics of quality; "rouge" stands for rouge1, rouge2 and rougeL."""
    bertscore_model: str = Field(default="bundled:all-minilm-l6-v2", min_length=1)
    """Model of the metric bertscore: "bundled:all-minilm-l6-v2" needs no hub; else a hub id or a folder."""
    weights: Literal["as-trained", "merged-bf16"] = "as-trained"
    """Weights that answer; merged-bf16 is faster and changes a quantised model's numbers."""
    max_new_tokens: int = Field(default=256, ge=1)
    """Longest answer in tokens."""
    temperature: float = Field(default=0.0, ge=0.0)
    """0 is greedy; above it answers are drawn."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Draw from the smallest set of tokens with this probability."""
    repetition_penalty: float = Field(default=1.0, gt=0.0)
    """Above 1 repeated tokens are less likely."""
    batch_size: int = Field(default=0, ge=0)
    """Prompts that are answered at once; 0 lets the lab decide."""
    seed: int = 42
    """Seed of the subset of rows and of drawn answers."""
    task: list[Task] = Field(default_factory=list)
    """Further test sets, each with answers and metrics of its own."""

    @property
    def metric_names(self) -> list[str]:
        """The metrics in the order asked for, each once, "rouge" spelled out."""
        names = [n for m in self.metrics for n in (("rouge1", "rouge2", "rougeL") if m == "rouge" else (m,))]
        return list(dict.fromkeys(names))


WORD = r"^\S*$"
LAB_OWNS = ("parsable", "job-name", "J", "output", "o", "open-mode", "array", "a", "wrap", "wait", "W", "test-only")
"""Options of sbatch without which the lab would not find its job again, or would start it twice in one folder."""


class Slurm(Section):
    partition: str = Field(default="", pattern=WORD)
    """Partition; empty takes the cluster's default, here and in the keys that follow."""
    account: str = Field(default="", pattern=WORD)
    """Account that is charged."""
    qos: str = Field(default="", pattern=WORD)
    """Quality of service."""
    time: str = Field(default="", pattern=r"^(|[0-9]+(:[0-9]{1,2}){0,2}|[0-9]+-[0-9]{1,2}(:[0-9]{1,2}){0,2})$")
    """Wall-clock limit as Slurm writes it: "90" (minutes), "04:00:00", "2-00:00:00"."""
    memory: str = Field(default="", pattern=r"^(|[0-9]+[KMGT]?)$")
    """Memory of the node: "32G"."""
    cpus: int = Field(default=0, ge=0)
    """CPUs of the task; 0 takes the cluster's default."""
    gres: str = Field(default="auto", pattern=WORD)
    """Generic resources: auto is gpu:N for launch.gpus = N, which every version and selection plugin knows; a type as
    in "gpu:a100:1"; empty where the partition gives GPUs unasked, or options ask for them in another way."""
    options: list[Annotated[str, Field(pattern=r"^-")]] = Field(default_factory=list)
    """Further words for sbatch: ["--constraint=h100", "--requeue"]."""
    setup: list[str] = Field(default_factory=list)
    """Shell lines before Python starts: ["module load cuda"]."""

    @field_validator("time", "memory", mode="before")
    @classmethod
    def _bare_number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("options")
    @classmethod
    def _not_owned(cls, value: list[str]) -> list[str]:
        owned = [word for word in value if word.lstrip("-").partition("=")[0] in LAB_OWNS]
        if owned:
            raise ValueError(f"should leave {owned[0].partition('=')[0]} to the lab")
        return value


class Launch(Section):
    kind: Literal["local", "slurm"] = "local"
    """How the worker starts: on this machine, or as a batch job of a Slurm cluster."""
    gpus: int = Field(default=1, ge=0)
    """GPUs the run trains on, the rows of each step dealt out among them; 0 trains on the CPU."""
    slurm: Slurm = Field(default_factory=Slurm)
    """What launch.kind = "slurm" asks the cluster for."""


class Profile(Section):
    description: str = ""
    """What this profile is for, in a line."""
    model: Model = Field(default_factory=Model)
    method: Method = Field(default_factory=Method)
    data: Data = Field(default_factory=Data)
    train: Train = Field(default_factory=Train)
    evaluate: Evaluate = Field(default_factory=Evaluate)
    launch: Launch = Field(default_factory=Launch)

    @property
    def ranks(self) -> int:
        """The processes that train, one a GPU; a baseline trains nothing, and one process answers."""
        return max(1, self.launch.gpus) if self.method.kind != "baseline" else 1

    @property
    def quantization(self) -> str:
        """The quantisation of the base as loaded: QLoRA means NF4 unless the profile says otherwise."""
        if self.method.kind == "qlora" and self.model.quantization == "none":
            return "nf4"
        return self.model.quantization
