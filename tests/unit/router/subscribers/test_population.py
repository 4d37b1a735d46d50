from __future__ import annotations

import random
from collections import Counter

from router.subscribers.population import Event, Happening, Population
from tests.unit.router.subscribers.test_invented import source


def play(population: Population, seconds: float) -> Counter[Happening]:
    """Let so much time pass; return what happened."""
    happened: Counter[Happening] = Counter()
    clock = 0.0
    while (wait := population.wait()) is not None:
        clock += wait
        if clock > seconds:
            break
        happened[population.next().what] += 1
    return happened


def test_the_same_seed_gives_the_same_events() -> None:
    def events(seed: int) -> list[Event]:
        population = Population(source(), random.Random(seed))
        return [population.next() for _ in range(500)]

    assert events(1) == events(1)
    assert events(1) != events(2)


def test_rates_are_as_configured() -> None:
    population = Population(source(arrivals=10.0, hold_time=20.0, lease_time=40), random.Random(3))
    play(population, 200.0)
    # 10 a second for 20 s each: 200 online, of whom each renews every 20 s
    happened = play(population, 1000.0)
    assert 150 < len(population) < 250
    for what in Happening:
        assert 9_000 < happened[what] < 11_000, what


def test_the_limit_holds_and_numbers_are_used_again() -> None:
    population = Population(source(max_population=50, hold_time=5.0), random.Random(4))
    seen = set()
    for _ in range(3000):
        event = population.next()
        seen.add(event.number)
        assert len(population) <= 50
    assert seen == set(range(50))


def test_it_goes_on_with_those_it_finds() -> None:
    population = Population(source(max_population=10), random.Random(5), [2, 7, 5])
    assert len(population) == 3
    arrived = {population.arrive().number for _ in range(7)}
    assert arrived == {0, 1, 3, 4, 6, 8, 9}
    assert population.full


def test_what_the_router_could_not_take_has_not_happened() -> None:
    population = Population(source(max_population=10), random.Random(6), range(10))
    for _ in range(200):
        event = population.next()
        before = len(population)
        population.undo(event)
        change = {Happening.ARRIVES: -1, Happening.LEAVES: 1, Happening.RENEWS: 0}[event.what]
        assert len(population) == before + change
    assert len(population) == 10


def test_with_nothing_to_come_it_says_so() -> None:
    assert Population(source(arrivals=0.0), random.Random(7)).wait() is None
    assert Population(source(arrivals=0.0, hold_time=0.0), random.Random(7), [1]).wait() is not None
