"""The bundled data set: its shape, that the test split is unseen and hard, and that it is the same everywhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from lab.data.helpdesk import COUNTS, rows
from lab.data.helpdesk.cues import REFUND_CLAUSES, REFUND_TAGS, URGENCY_CLAUSES, URGENCY_TAGS
from lab.data.helpdesk.faults import DANGERS, DEFECTS, USES
from lab.data.helpdesk.labels import CATEGORIES, PRODUCTS, URGENCIES, Answer
from lab.data.helpdesk.plans import PLANS_SEEN, PLANS_TEST, Plan
from lab.data.helpdesk.problems import GENERAL, Bank
from lab.data.helpdesk.vocabulary import CUSTOMERS_SEEN, CUSTOMERS_TEST, MODELS_SEEN, MODELS_TEST
from lab.errors import NotFoundError
from lab.jsonio import dumps

SPLITS = tuple(COUNTS)
LABELS = ("product", "category", "urgency", "refund")
HASHES = {
    "train": "8bf0df73259141403cb3b8820c2913c0e6fe9bedcf1460866f5e2f84096a0105",
    "validation": "4d6e0fdb0513eb42a2934bec21d58b6e640417b2a4c9366b719514fa7037b1e0",
    "test": "ee0c671aafec8ed8e008c1f4928664d00c7639c27a8365a990481b4ac3bb34bb",
}


def message(row: dict[str, Any]) -> str:
    return str(row["messages"][1]["content"])


def answer(row: dict[str, Any]) -> str:
    return str(row["messages"][2]["content"])


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[\w'-]+", text.lower()))


def fingerprint(split: str) -> str:
    return hashlib.sha256("\n".join(dumps(row) for row in rows(split)).encode()).hexdigest()


def named(text: str, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if re.search(rf"\b{re.escape(name.lower())}\b", text.lower())]


@pytest.mark.parametrize("split", SPLITS)
def test_rows_have_ids_plans_and_three_messages(split: str) -> None:
    found = rows(split)
    assert len(found) == COUNTS[split]
    assert [row["id"] for row in found] == [f"helpdesk-{split}-{n:04d}" for n in range(1, COUNTS[split] + 1)]
    assert all(list(row) == ["id", "plan", "messages"] for row in found)
    assert all([m["role"] for m in row["messages"]] == ["system", "user", "assistant"] for row in found)


@pytest.mark.parametrize("split", SPLITS)
def test_answers_are_one_line_of_json_in_the_promised_order(split: str) -> None:
    for row in rows(split):
        labels = json.loads(answer(row))
        assert tuple(labels) == LABELS
        assert "\n" not in answer(row)
        assert labels["product"] in PRODUCTS
        assert labels["category"] in CATEGORIES
        assert labels["urgency"] in URGENCIES
        assert isinstance(labels["refund"], bool)


@pytest.mark.parametrize("plan", PLANS_SEEN + PLANS_TEST, ids=lambda plan: plan.id)
def test_plans_have_one_to_three_sentences(plan: Plan) -> None:
    body = re.sub(r"(?<=[.!?]) [A-Z][\w ]+, \{[NF]\}$| Greetings from \{F\}$| \{F\}$", "", plan.text)
    assert 1 <= len([part for part in re.split(r"[.!?](?: |$)", body) if part]) <= 3
    assert plan.text.count("{P}") == 1


def test_clauses_hold_no_sentence_end_but_a_last_question_mark() -> None:
    for bank in banks():
        assert not [clause for clause in (*bank.seen, *bank.fresh) if re.search(r"[.!]|\?.", clause)]


@pytest.mark.parametrize("split", SPLITS)
def test_messages_are_cleanly_punctuated(split: str) -> None:
    for row in rows(split):
        assert not re.search(r"[{}\n]|  |\?\.|\.\.|,,|\s[.,!?]|^\s|\s$", message(row)), message(row)


def test_system_prompt_states_every_value_and_is_the_same_in_every_row() -> None:
    prompts = {row["messages"][0]["content"] for split in SPLITS for row in rows(split)}
    assert len(prompts) == 1
    prompt = prompts.pop()
    assert all(value in prompt for value in (*LABELS, *PRODUCTS, *CATEGORIES, *URGENCIES, "true", "false"))


def test_unknown_split_is_refused_with_the_near_one() -> None:
    with pytest.raises(NotFoundError, match=r"no split 'tests'. Did you mean 'test'\? Its splits are: train"):
        rows("tests")


def test_callers_cannot_spoil_each_others_rows() -> None:
    rows("test")[0]["messages"][1]["content"] = "spoilt"
    assert message(rows("test")[0]) != "spoilt"


def test_no_message_is_in_two_splits_or_twice_in_one() -> None:
    messages = [message(row) for split in SPLITS for row in rows(split)]
    assert len(set(messages)) == len(messages)


def test_plan_ids_of_the_test_split_are_unseen() -> None:
    seen = {row["plan"] for split in ("train", "validation") for row in rows(split)}
    unseen = {row["plan"] for row in rows("test")}
    assert seen == {plan.id for plan in PLANS_SEEN}
    assert unseen == {plan.id for plan in PLANS_TEST}
    assert not seen & unseen


def bare(plan: Plan) -> str:
    return re.sub(r"\W+", " ", plan.text).strip()


def test_plan_texts_of_the_test_split_are_unseen_even_without_punctuation() -> None:
    ids = [plan.id for plan in PLANS_SEEN + PLANS_TEST]
    assert len(set(ids)) == len(ids)
    assert not {bare(plan) for plan in PLANS_SEEN} & {bare(plan) for plan in PLANS_TEST}


def test_customers_and_products_of_the_test_split_are_unseen() -> None:
    first_names = [{name.split()[0] for name in names} for names in (CUSTOMERS_SEEN, CUSTOMERS_TEST)]
    assert not first_names[0] & first_names[1]
    seen_models = tuple(name for names in MODELS_SEEN.values() for name in names)
    test_models = tuple(name for names in MODELS_TEST.values() for name in names)
    for row in (*rows("train"), *rows("validation")):
        assert named(message(row), seen_models)
        assert not named(message(row), test_models + tuple(first_names[1]))
    for row in rows("test"):
        assert named(message(row), test_models)
        assert not named(message(row), seen_models + tuple(first_names[0]))


@pytest.mark.parametrize("models", [MODELS_SEEN, MODELS_TEST])
def test_no_product_is_named_by_the_answer_alone(models: dict[str, tuple[str, ...]]) -> None:
    assert tuple(models) == PRODUCTS
    names = [name for names in models.values() for name in names]
    assert len(set(names)) == len(names)
    assert not {name.lower() for name in names} & set(PRODUCTS)


@pytest.mark.parametrize("tone", ["polite", "plain", "terse", "chatty", "angry"])
def test_both_halves_have_every_tone(tone: str) -> None:
    used = {row["plan"] for split in SPLITS for row in rows(split)}
    for plans in (PLANS_SEEN, PLANS_TEST):
        assert used & {plan.id for plan in plans if plan.tone == tone}


def order_of_facts(plan: Plan) -> str:
    return "".join(re.findall(r"\{([PUR])\}", plan.text.replace("{u}", "{U}").replace("{r}", "{R}")))


def test_the_order_of_the_facts_is_mixed() -> None:
    texts = {plan.id: plan for plan in PLANS_TEST}
    orders = Counter(order_of_facts(texts[row["plan"]]) for row in rows("test"))
    assert len(orders) >= 8
    assert orders.most_common(1)[0][1] <= 0.4 * COUNTS["test"]


def nearest_neighbour_score(split: str) -> float:
    """Share of rows whose answer is that of the training row with the highest Jaccard overlap of words."""
    known = [(words(message(row)), answer(row)) for row in rows("train")]

    def guess(text: str) -> str:
        asked = words(text)
        return max(known, key=lambda pair: len(asked & pair[0]) / len(asked | pair[0]))[1]

    found = rows(split)
    return sum(guess(message(row)) == answer(row) for row in found) / len(found)


def test_nearest_training_row_answers_at_most_30_percent() -> None:
    assert nearest_neighbour_score("test") <= 0.30


def test_nearest_neighbour_score_can_fail() -> None:
    assert nearest_neighbour_score("train") > 0.99


@pytest.mark.parametrize("split", SPLITS)
def test_commonest_training_answer_is_right_at_most_10_percent(split: str) -> None:
    commonest = Counter(answer(row) for row in rows("train")).most_common(1)[0][0]
    assert sum(answer(row) == commonest for row in rows(split)) <= 0.10 * COUNTS[split]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("label", "values"),
    [("product", PRODUCTS), ("category", CATEGORIES), ("urgency", URGENCIES), ("refund", (True, False))],
)
def test_labels_are_balanced(split: str, label: str, values: tuple[object, ...]) -> None:
    counts = Counter(json.loads(answer(row))[label] for row in rows(split))
    fair = COUNTS[split] / len(values)
    assert set(counts) == set(values)
    assert all(0.7 * fair <= counts[value] <= 1.3 * fair for value in values), counts


@pytest.mark.parametrize("split", SPLITS)
def test_every_category_comes_with_every_urgency_and_with_and_without_refund(split: str) -> None:
    labels = [json.loads(answer(row)) for row in rows(split)]
    assert len({(entry["category"], entry["urgency"], entry["refund"]) for entry in labels}) >= 30
    assert len({(entry["category"], entry["urgency"]) for entry in labels}) == 18


def banks() -> list[Bank]:
    tables = (GENERAL, DEFECTS, DANGERS, USES, URGENCY_CLAUSES, URGENCY_TAGS, REFUND_CLAUSES, REFUND_TAGS)
    return [bank for table in tables for bank in table.values()]


def test_fresh_clauses_are_not_seen_ones_and_each_bank_can_fill_a_joined_plan() -> None:
    for bank in banks():
        assert not set(bank.seen) & set(bank.fresh)
        assert any(not clause.endswith("?") for clause in bank.seen)


def test_no_clause_means_two_things() -> None:
    meanings: dict[str, set[object]] = {}
    for table in (GENERAL, URGENCY_CLAUSES, URGENCY_TAGS, REFUND_CLAUSES, REFUND_TAGS):
        for meaning, bank in table.items():
            for clause in (*bank.seen, *bank.fresh):
                meanings.setdefault(clause, set()).add(meaning)
    assert not {clause: found for clause, found in meanings.items() if len(found) > 1}


def test_answer_writes_json_booleans() -> None:
    line = Answer("kettle", "how-to", "low", True).json()
    assert line == '{"product": "kettle", "category": "how-to", "urgency": "low", "refund": true}'


@pytest.mark.parametrize("split", SPLITS)
def test_rows_never_change(split: str) -> None:
    assert fingerprint(split) == HASHES[split], "rows changed: figures measured on them no longer hold"


@pytest.mark.parametrize("seed", ["0", "1"])
def test_rows_do_not_depend_on_the_order_of_hashes(seed: str) -> None:
    code = "import json; from lab.data.helpdesk import rows; print(json.dumps(rows('test')))"
    env = {**os.environ, "PYTHONHASHSEED": seed}
    output = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert json.loads(output) == rows("test")
