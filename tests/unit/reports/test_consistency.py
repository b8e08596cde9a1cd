"""The rules of the form: each one alone, and what must hold for every form there can be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamsoat.datasets.categories import GRAVITY, Category
from tamsoat.inference_service.reports.consistency import Context, violations
from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.vocabulary import EPITHELIAL, NEEDS_COMMENT, TERMS, Group, terms_of
from tamsoat.inference_service.web.messages import catalogue

NEGATIVE: dict[str, Any] = {"adequacy": "satisfactory", "zone": "zone-present", "general": "negative"}
ABNORMAL = {**NEGATIVE, "general": "abnormal", "findings": ("hsil",)}
UNSATISFACTORY: dict[str, Any] = {"adequacy": "unsatisfactory", "reasons": ("scant-cells",)}
REJECTED: dict[str, Any] = {"adequacy": "rejected", "reasons": ("broken",)}
OTHER = {**NEGATIVE, "general": "other", "findings": ("endometrial-cells",)}


def several(*groups: Group) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(terms_of(*groups)), max_size=3)


forms = st.builds(
    Form,
    adequacy=st.none() | st.sampled_from(terms_of(Group.ADEQUACY)),
    reasons=several(Group.UNSATISFACTORY, Group.REJECTED),
    quality=several(Group.QUALITY),
    zone=st.none() | st.sampled_from(terms_of(Group.ZONE)),
    general=st.none() | st.sampled_from(terms_of(Group.GENERAL)),
    findings=several(Group.SQUAMOUS, Group.GLANDULAR, Group.OTHER),
    organisms=several(Group.ORGANISM),
    reactive=several(Group.REACTIVE),
    recommendations=several(Group.RECOMMENDATION),
    comment=st.sampled_from(["", " ", "nhận xét"]),
)
contexts = st.builds(Context, age_years=st.none() | st.integers(15, 90), specimen_rejected=st.booleans())


def broken(form: dict[str, Any], context: Context | None = None) -> set[tuple[str, str]]:
    return {(item.rule, item.field) for item in violations(Form(**form), context or Context())}


@pytest.mark.parametrize("form", [NEGATIVE, ABNORMAL, UNSATISFACTORY, REJECTED, OTHER])
def test_a_complete_form_may_be_signed(form: dict[str, Any]) -> None:
    assert broken(form) == set()


def test_organisms_may_be_named_in_a_specimen_that_is_unsatisfactory() -> None:
    assert broken({**UNSATISFACTORY, "organisms": ("trichomonas",), "reactive": ("atrophy",)}) == set()


@pytest.mark.parametrize(
    ("form", "rule", "field"),
    [
        ({}, "adequacy-missing", "adequacy"),
        ({**NEGATIVE, "reasons": ("air-drying",)}, "reason-though-satisfactory", "reasons"),
        ({"adequacy": "unsatisfactory"}, "reason-missing", "reasons"),
        ({"adequacy": "rejected"}, "reason-missing", "reasons"),
        ({**UNSATISFACTORY, "reasons": ("broken",)}, "reason-of-other-kind", "reasons"),
        ({**REJECTED, "reasons": ("scant-cells",)}, "reason-of-other-kind", "reasons"),
        ({**UNSATISFACTORY, "quality": ("cytolysis",)}, "quality-though-not-satisfactory", "quality"),
        ({**NEGATIVE, "zone": None}, "zone-missing", "zone"),
        ({**UNSATISFACTORY, "general": "negative"}, "category-though-not-satisfactory", "general"),
        ({**REJECTED, "findings": ("hsil",)}, "finding-though-not-satisfactory", "findings"),
        ({**REJECTED, "organisms": ("candida",)}, "rejected-has-no-findings", "organisms"),
        ({**REJECTED, "reactive": ("atrophy",)}, "rejected-has-no-findings", "reactive"),
        ({**REJECTED, "zone": "zone-present"}, "rejected-has-no-findings", "zone"),
        ({**NEGATIVE, "general": None}, "category-missing", "general"),
        ({**NEGATIVE, "findings": ("lsil",)}, "negative-with-abnormality", "findings"),
        ({**NEGATIVE, "findings": ("endometrial-cells",)}, "negative-with-other-finding", "general"),
        ({**ABNORMAL, "findings": ()}, "abnormal-without-abnormality", "findings"),
        ({**ABNORMAL, "findings": ("endometrial-cells",)}, "abnormal-without-abnormality", "findings"),
        ({**OTHER, "findings": ("endometrial-cells", "agc")}, "other-with-abnormality", "general"),
        ({**OTHER, "findings": ()}, "other-without-finding", "findings"),
        ({**ABNORMAL, "findings": ("asc-us", "hsil")}, "several-squamous", "findings"),
        ({**ABNORMAL, "findings": ("agc", "ais")}, "several-glandular", "findings"),
        ({**ABNORMAL, "findings": ("hsil", "hsil")}, "chosen-twice", "findings"),
        ({**OTHER, "findings": ("endometrial-cells", "other-malignant"), "comment": "lymphoma"},
         "endometrial-cells-with-malignancy", "findings"),
        ({**OTHER, "findings": ("other-malignant",)}, "comment-missing", "comment"),
        ({**UNSATISFACTORY, "reasons": ("unsatisfactory-other",), "comment": " "}, "comment-missing", "comment"),
    ],
)  # fmt: skip
def test_each_rule(form: dict[str, Any], rule: str, field: str) -> None:
    assert (rule, field) in broken(form)


def test_low_grade_lesion_with_few_suspicious_cells_and_two_lineages_may_stand_together() -> None:
    assert broken({**ABNORMAL, "findings": ("lsil", "asc-h")}) == set()
    assert broken({**ABNORMAL, "findings": ("hsil", "ais")}) == set()


def test_endometrial_cells_depend_on_the_age_where_it_is_known() -> None:
    assert ("endometrial-cells-under-45", "findings") in broken(OTHER, Context(age_years=44))
    assert broken(OTHER, Context(age_years=45)) == set()
    assert broken(OTHER, Context(age_years=None)) == set()


def test_a_specimen_that_was_rejected_at_reception_is_rejected() -> None:
    assert broken(NEGATIVE, Context(specimen_rejected=True)) == {("specimen-was-rejected", "adequacy")}
    assert broken(REJECTED, Context(specimen_rejected=True)) == set()


@given(forms, contexts)
def test_what_may_be_signed_keeps_the_rules_of_the_profiles(form: Form, context: Context) -> None:
    if violations(form, context):
        return
    abnormal = [code for code in form.findings if TERMS[code].group in EPITHELIAL]
    assert form.adequacy is not None
    assert len(form.codes()) == len(set(form.codes()))
    if form.adequacy == "satisfactory":
        assert form.general is not None
        assert not form.reasons
    else:
        assert form.general is None
        assert not form.findings
        assert form.reasons
    assert bool(abnormal) == (form.general == "abnormal")
    assert form.category() is not None
    if any(code in NEEDS_COMMENT for code in (*form.reasons, *form.findings)):
        assert form.comment.strip()
    codes = [TERMS[code].snomed_ct for code in form.codes() if TERMS[code].snomed_ct]
    assert len(codes) == len(set(codes))


@given(forms, contexts)
def test_every_broken_rule_is_told_in_both_languages_and_points_at_a_field(form: Form, context: Context) -> None:
    for item in violations(form, context):
        assert item.field in Form.model_fields
        words = item.messages()
        assert words["vi"] != words["en"]


@given(forms, contexts)
def test_the_order_in_which_terms_were_chosen_does_not_matter(form: Form, context: Context) -> None:
    turned = form.model_copy(update={"findings": form.findings[::-1], "reasons": form.reasons[::-1]})
    assert {(item.rule, item.field) for item in violations(form, context)} == {
        (item.rule, item.field) for item in violations(turned, context)
    }
    assert form.category() is turned.category()


@given(forms)
def test_a_further_finding_never_makes_the_specimen_less_grave(form: Form) -> None:
    before = form.model_copy(update={"adequacy": "satisfactory"})
    after = before.model_copy(update={"findings": (*before.findings, "hsil")})
    first, second = before.category(), after.category()
    if first in GRAVITY:
        assert second in GRAVITY
        assert GRAVITY.index(second) >= GRAVITY.index(first)
    assert second in (Category.OTHER, *GRAVITY[GRAVITY.index(Category.HSIL) :])


def test_every_rule_of_the_catalogue_is_one_that_can_be_broken() -> None:
    from inspect import getsource

    from tamsoat.inference_service.reports import consistency

    source = getsource(consistency)
    for key in catalogue("en"):
        if key.startswith("signout.rule."):
            assert f'"{key.removeprefix("signout.rule.")}"' in source
