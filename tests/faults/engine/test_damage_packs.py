"""Packs are flipped, cut, exchanged and removed: verification and restores name exactly the bytes that are lost."""

import pytest

from lamina.engine.format import PACK_HEADER, TAG_BYTES
from tests.faults.engine.damaging import Tally, flip, judge, list_cuts, list_exchanges, removed
from tests.faults.engine.every_object import PACK_ROLES


def list_needed(every, role):
    return [key for key in every.keys_of(role) if every.list_records(key)]


def list_idle(every, role):
    """Packs that no snapshot needs: dead ones that wait for a sweep."""
    return [key for key in every.keys_of(role) if not every.list_records(key)]


def list_structure(every, key):
    """Positions of header, footer and trailer."""
    records = every.list_records(key)
    end = max(offset + length for offset, length in records)
    return [*range(PACK_HEADER.size), *range(end, len(every.objects[key]))]


def list_record_positions(every, key):
    """Of every record: encoding, first and middle byte of the payload, and both ends of the tag."""
    for offset, length in every.list_records(key):
        tag = offset + length - TAG_BYTES
        yield from (offset, offset + 1, offset + length // 2, tag, offset + length - 1)


def check(every, key, damages):
    """Every damage is reported, and loses exactly what lay there."""
    tally = Tally()
    for damage in damages:
        verdict = judge(every, key, damage)
        tally.add(key, damage, verdict)
        assert verdict.ranges == every.list_lost(key, damage.start, damage.end), damage.name
    assert tally.undetected == []
    return tally.tried


@pytest.mark.parametrize("role", PACK_ROLES)
def test_needed_and_idle_packs_are_both_there(every, role):
    assert len(list_needed(every, role)) >= 2
    assert len(list_idle(every, role)) >= 2


@pytest.mark.parametrize("role", PACK_ROLES)
def test_no_flipped_bit_of_header_footer_or_trailer_goes_undetected_or_costs_a_byte(every, role):
    for key in list_needed(every, role):
        positions = list_structure(every, key)
        assert not any(every.list_lost(key, position, position + 1)["s-late"] for position in positions)
        check(every, key, [flip(every.objects[key], position) for position in positions])


@pytest.mark.parametrize("role", PACK_ROLES)
def test_a_flipped_bit_of_a_record_costs_exactly_what_points_to_it(every, role):
    for key in list_needed(every, role):
        positions = sorted({*list_record_positions(every, key)})
        assert all(any(every.list_lost(key, position, position + 1).values()) for position in positions)
        check(every, key, [flip(every.objects[key], position) for position in positions])


@pytest.mark.parametrize("role", PACK_ROLES)
def test_no_cut_no_exchange_and_no_loss_of_a_needed_pack_goes_undetected(every, role):
    for key in list_needed(every, role):
        data = every.objects[key]
        tried = check(every, key, [*list_cuts(data), *list_exchanges(every, key), removed(data)])
        assert tried["replaced"] >= 8


@pytest.mark.parametrize("role", PACK_ROLES)
def test_damage_of_an_idle_pack_is_reported_and_costs_nothing(every, role):
    for key in list_idle(every, role):
        data = every.objects[key]
        flips = [flip(data, position) for position in range(0, len(data), 41)]
        check(every, key, [*flips, *list_cuts(data), *list_exchanges(every, key)])
