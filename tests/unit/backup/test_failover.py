"""FIG. 6 to FIG. 9, step by step, at the end that decides and at the end that tells."""

from __future__ import annotations

import itertools

import pytest

from rui.backup.decision import Path, Policy
from rui.backup.failover import (
    Ask,
    Decider,
    FailoverOptions,
    Informant,
    Kind,
    Output,
    PathChanged,
    StartLocal,
    StopLocal,
    Tell,
    TellWait,
)
from rui.backup.identity import Role
from rui.backup.links import LinkState

UP, DOWN, DEGRADED, UNKNOWN = LinkState.UP, LinkState.DOWN, LinkState.DEGRADED, LinkState.UNKNOWN
IMMEDIATE = FailoverOptions(fault_policy=Policy.IMMEDIATE)
DEGRADED_CONFIRM = FailoverOptions(degraded_policy=Policy.CONFIRM)


def decider(role: Role = Role.PRIMARY, options: FailoverOptions | None = None) -> Decider:
    """One whose three links are up, at time 0."""
    made = Decider(role, options or FailoverOptions(), 0.0)
    made.rbs_link(UP, 0.0)
    made.own_link(UP, 0.0)
    made.told(UP, 0.0)
    assert made.outputs() == []
    return made


def said(outputs: list[Output]) -> list[tuple[str, ...]]:
    """Outputs in short: kind and step, or the path."""
    short: list[tuple[str, ...]] = []
    for output in outputs:
        match output:
            case Ask(step):
                short.append(("ask", step))
            case Tell(step, _):
                short.append(("tell", step))
            case TellWait(step):
                short.append(("tell-wait", step))
            case StartLocal(step, _):
                short.append(("start", step))
            case StopLocal():
                short.append(("stop",))
            case PathChanged(_, path, _, step, _):
                short.append((path.value, step))
    return short


FIG = {
    Role.PRIMARY: ("S601a", "S603a", "S604a", "S605a"),
    Role.SECONDARY: ("S701a", "S703a", "S705a", "S707b"),
}


@pytest.mark.parametrize("role", Role)
def test_own_timeout_and_the_peer_s_too_starts_local_backup(role: Role) -> None:
    """S601a, S602a, S603a; S701a, S702a, S703a."""
    ask, start, _, _ = FIG[role]
    end = decider(role)
    end.own_link(DOWN, 3.0)
    assert said(end.outputs()) == [("ask", ask)]
    assert end.waiting_for == "the peer's answer to a query"
    end.answer(DOWN, 3.1)
    assert said(end.outputs()) == [("local", start), ("start", start)]
    end.started(1, 3.2)
    assert end.local
    assert not end.path.uploads


@pytest.mark.parametrize("role", Role)
def test_own_timeout_alone_waits_for_re_establishment(role: Role) -> None:
    """S604a, S605a; S705a."""
    ask, _, wait, back = FIG[role]
    end = decider(role)
    end.own_link(DOWN, 3.0)
    end.answer(UP, 3.1)
    waiting = "reestablishing" if role is Role.PRIMARY else "waiting"
    assert said(end.outputs()) == [("ask", ask), (waiting, wait)]
    assert end.next_deadline() == 33.1
    end.own_link(UP, 9.0)
    assert said(end.outputs()) == [("cloud", back if role is Role.PRIMARY else wait)], "[0191] is S705a's"
    assert end.next_deadline() is None


@pytest.mark.parametrize(("role", "path"), [(Role.PRIMARY, "local"), (Role.SECONDARY, "cloud-and-local")])
def test_waiting_ends_in_local_backup_after_max_wait(role: Role, path: str) -> None:
    end = decider(role)
    end.own_link(DOWN, 3.0)
    end.answer(UP, 3.0)
    end.outputs()
    end.handle_timer(32.9)
    assert end.outputs() == []
    end.handle_timer(33.0)
    assert [entry[0] for entry in said(end.outputs())] == [path, "start"]


@pytest.mark.parametrize(("role", "start"), [(Role.PRIMARY, "S603b"), (Role.SECONDARY, "S703b")])
def test_told_of_a_timeout_while_its_own_link_is_down(role: Role, start: str) -> None:
    """S602b, S603b; S702b, S703b. The answer to the query is not needed any more."""
    end = decider(role)
    end.own_link(DOWN, 3.0)
    end.outputs()
    end.told(DOWN, 3.1)
    assert said(end.outputs()) == [("local", start), ("start", start)]
    end.answer(UP, 3.2)
    assert end.outputs() == [], "a late answer changes nothing"


@pytest.mark.parametrize(
    ("role", "path", "step"),
    [(Role.PRIMARY, "waiting", "S604b"), (Role.SECONDARY, "reestablishing", "S705b")],
)
def test_told_of_a_timeout_while_its_own_link_is_up(role: Role, path: str, step: str) -> None:
    """S604b: the reestablishment waiting notification; S705b: the notification response."""
    end = decider(role)
    end.told(DOWN, 3.0)
    assert said(end.outputs()) == [("tell-wait", step), (path, step)]
    end.told(UP, 5.0)
    assert [entry[0] for entry in said(end.outputs())] == ["cloud"]


@pytest.mark.parametrize("role", Role)
def test_policy_immediate_asks_nobody(role: Role) -> None:
    """[0177, 0211]."""
    end = decider(role, IMMEDIATE)
    end.own_link(DOWN, 3.0)
    assert said(end.outputs())[-1] == ("start", FIG[role][1])
    end = decider(role, IMMEDIATE)
    end.told(DOWN, 3.0)
    assert said(end.outputs())[-1] == ("start", "S603b" if role is Role.PRIMARY else "S703b")


@pytest.mark.parametrize(
    ("role", "own", "path"), [(Role.PRIMARY, "S801a", "local"), (Role.SECONDARY, "S901a", "cloud-and-local")]
)
def test_poor_quality_of_its_own_link(role: Role, own: str, path: str) -> None:
    """FIG. 8-a and 9-a; with only the secondary's link poor the cloud gets it as well [0236]."""
    end = decider(role)
    end.own_link(DEGRADED, 3.0)
    assert said(end.outputs()) == [(path, own), ("start", own)]


@pytest.mark.parametrize(
    ("role", "told", "path"), [(Role.PRIMARY, "S802b", "cloud-and-local"), (Role.SECONDARY, "S902b", "local")]
)
def test_told_of_poor_quality(role: Role, told: str, path: str) -> None:
    """FIG. 8-b [0227] and 9-b."""
    end = decider(role)
    end.told(DEGRADED, 3.0)
    assert said(end.outputs()) == [(path, told), ("start", told)]


def test_degraded_policy_confirm_asks_first() -> None:
    """[0212]."""
    end = decider(options=DEGRADED_CONFIRM)
    end.own_link(DEGRADED, 3.0)
    assert said(end.outputs()) == [("ask", "S601a")]
    end.answer(DEGRADED, 3.1)
    assert said(end.outputs()) == [("local", "S603a"), ("start", "S603a")]


def test_an_unanswered_query_is_repeated_and_then_local_backup_starts() -> None:
    end = decider()
    end.own_link(DOWN, 3.0)
    for now in (3.5, 4.0):
        end.handle_timer(now)
        assert end.asking
    assert said(end.outputs()) == [("ask", "S601a")] * 3
    end.handle_timer(4.5)
    assert said(end.outputs()) == [("local", "S603a"), ("start", "S603a")]
    assert end.theirs is UNKNOWN


@pytest.mark.parametrize(
    ("role", "ask", "start"),
    [(Role.PRIMARY, "S601a", ("local", "S603a")), (Role.SECONDARY, "S701a", ("cloud-and-local", "S703a"))],
)
def test_who_answers_that_it_does_not_know_is_not_asked_in_a_storm(
    role: Role, ask: str, start: tuple[str, str]
) -> None:
    end = decider(role)
    end.own_link(DOWN, 1.0)
    assert said(end.outputs()) == [("ask", ask)]
    end.answer(UNKNOWN, 1.1)
    assert start in said(end.outputs())
    end.handle_timer(1.2)
    assert ("ask", ask) not in said(end.outputs())
    end.handle_timer(1.2 + end.options.max_wait)
    assert ("ask", ask) in said(end.outputs())


@pytest.mark.parametrize("role", Role)
def test_an_unknown_link_is_asked_for_again(role: Role) -> None:
    """Else local backup would go on for ever: the other end tells only of changes."""
    end = decider(role)
    end.own_link(DOWN, 3.0)
    for now in (3.5, 4.0, 4.5):
        end.handle_timer(now)
    end.started(1, 4.5)
    assert (end.theirs, end.local) == (UNKNOWN, True)
    end.outputs()
    assert end.next_deadline() == 34.5
    end.handle_timer(34.5)
    assert said(end.outputs()) == [("ask", FIG[role][0])]
    for now in (35.0, 35.5, 36.0):
        end.handle_timer(now)
    end.outputs()
    end.own_link(UP, 40.0)
    assert said(end.outputs()) == [("ask", FIG[role][0])]
    end.answer(UP, 40.1)
    end.caught_up(True, 41.0)
    end.handle_timer(45.1)
    assert end.path is Path.CLOUD


@pytest.mark.parametrize("role", Role)
def test_a_lost_session_ends_local_backup_and_a_new_one_starts_it_again(role: Role) -> None:
    """Though the channel never counted as down."""
    end = decider(role, IMMEDIATE)
    end.own_link(DOWN, 3.0)
    end.started(1, 3.1)
    end.outputs()
    end.session_lost(5.0)
    assert not end.local
    end.handle_timer(5.5)
    assert end.outputs() == []
    end.session_opened(5.6)
    assert said(end.outputs()) == [("start", FIG[role][1])], "at once, without the pause"


def test_a_poor_channel_ends_local_backup_and_says_so() -> None:
    end = local_at(3.0)
    end.rbs_link(DEGRADED, 5.0)
    assert said(end.outputs()) == [("stop",), ("hold", "")]


def test_a_link_that_returns_during_the_query_ends_it() -> None:
    end = decider()
    end.own_link(DOWN, 3.0)
    end.outputs()
    end.own_link(UP, 3.2)
    assert end.outputs() == []
    assert end.next_deadline() is None


def test_a_failed_handshake_is_tried_again_after_the_pause() -> None:
    end = decider(options=IMMEDIATE)
    end.own_link(DOWN, 3.0)
    end.outputs()
    end.start_failed(1, "refused", 3.1)
    assert end.next_deadline() == 4.1
    end.handle_timer(4.1)
    assert [entry[0] for entry in said(end.outputs())] == ["start"]


def test_a_handshake_that_was_called_off_is_not_under_way_when_it_is_answered() -> None:
    """The other end has been told to stop behind it, and sends nothing."""
    end = decider(Role.SECONDARY, IMMEDIATE)
    end.own_link(DOWN, 3.0)
    end.rbs_link(DOWN, 3.1)
    assert [entry[0] for entry in said(end.outputs())] == ["cloud-and-local", "start", "stop", "cloud"]
    end.rbs_link(UP, 3.2)
    end.started(1, 3.3)
    assert not end.local
    end.handle_timer(4.2)
    end.start_failed(1, "refused", 4.3)
    end.started(2, 4.4)
    assert end.local


def local_at(now: float) -> Decider:
    end = decider()
    end.own_link(DOWN, now)
    end.answer(DOWN, now)
    end.started(1, now)
    end.outputs()
    return end


def test_it_returns_when_all_links_were_up_for_the_hold_time_and_the_cloud_has_everything() -> None:
    end = local_at(3.0)
    end.own_link(UP, 10.0)
    end.told(UP, 10.5)
    assert [entry[0] for entry in said(end.outputs())] == ["cloud-and-local"], "b was the last to return"
    assert end.next_deadline() == 15.5
    end.handle_timer(15.5)
    assert end.path is Path.BOTH
    end.caught_up(True, 16.0)
    assert [entry[0] for entry in said(end.outputs())] == ["cloud", "stop"]
    assert not end.local


def test_a_secondary_names_the_path_again_only_while_local_backup_is_active() -> None:
    """A primary that is told of a local path before the handshake would never be told of its end."""
    end = decider(Role.SECONDARY, IMMEDIATE)
    end.own_link(DOWN, 3.0)
    assert (end.path, end.inquires) == (Path.BOTH, False), "the handshake is under way"
    end.started(1, 3.1)
    assert end.inquires
    end.outputs()
    end.session_lost(4.0)
    assert (end.path, end.inquires) == (Path.BOTH, False), "the pause before the next handshake"
    end.rbs_link(DEGRADED, 4.1)
    assert said(end.outputs()) == [("cloud", "")], "nothing to end, and nobody to be told"
    assert not local_at(3.0).inquires, "a primary knows by itself"


def test_a_link_that_falls_again_begins_the_hold_time_again() -> None:
    end = local_at(3.0)
    end.own_link(UP, 10.0)
    end.told(UP, 10.0)
    end.caught_up(True, 11.0)
    end.told(DOWN, 14.0)
    end.told(UP, 14.5)
    end.handle_timer(15.5)
    assert end.path.local
    end.handle_timer(19.5)
    assert end.path is Path.CLOUD


def test_who_backs_up_locally_does_not_go_back_to_waiting() -> None:
    end = local_at(3.0)
    end.own_link(UP, 10.0)
    assert [entry[0] for entry in said(end.outputs())] == ["cloud-and-local"]
    end.own_link(DOWN, 12.0)
    end.answer(UP, 12.1)
    assert end.path is Path.LOCAL
    assert end.local


@pytest.mark.parametrize("channel", [DOWN, DEGRADED])
def test_without_a_good_channel_a_poor_link_to_the_cloud_is_used(channel: LinkState) -> None:
    """Else the cloud gets nothing, nobody can follow this primary, and nobody may take over from it."""
    end = decider()
    end.rbs_link(channel, 1.0)
    end.own_link(DEGRADED, 3.0)
    assert end.path.uploads
    end.own_link(DOWN, 5.0)
    assert said(end.outputs()) == [("hold", "")]
    end.own_link(UP, 7.0)
    end.own_link(DEGRADED, 7.0)
    assert said(end.outputs()) == [("cloud", "")]
    end.rbs_link(UP, 9.0)
    assert said(end.outputs()) == [("local", "S603a"), ("start", "S603a")]
    end.started(1, 9.1)
    end.rbs_link(channel, 11.0)
    assert said(end.outputs()) == [("stop",), ("cloud", "")]


def test_without_the_rbs_channel_it_stays_with_the_cloud_or_holds() -> None:
    end = decider()
    end.rbs_link(DOWN, 1.0)
    assert end.path is Path.CLOUD
    end.own_link(DOWN, 3.0)
    assert said(end.outputs()) == [("hold", "")]
    end.rbs_link(UP, 8.0)
    assert said(end.outputs()) == [("ask", "S601a")]
    end.answer(DOWN, 8.1)
    assert [entry[0] for entry in said(end.outputs())] == ["local", "start"]


def test_local_backup_starts_again_when_the_rbs_channel_returns() -> None:
    end = local_at(3.0)
    end.rbs_link(DOWN, 5.0)
    assert end.path is Path.HOLD
    assert not end.local
    end.rbs_link(UP, 6.0)
    end.answer(DOWN, 6.1)
    assert said(end.outputs())[-1] == ("start", "S603a")


@pytest.mark.parametrize(
    ("role", "state", "step"),
    [
        (Role.SECONDARY, DOWN, "S601b"),
        (Role.PRIMARY, DOWN, "S701b"),
        (Role.SECONDARY, DEGRADED, "S801b"),
        (Role.PRIMARY, DEGRADED, "S901b"),
    ],
)
def test_the_other_end_tells_unasked(role: Role, state: LinkState, step: str) -> None:
    end = Informant(role)
    end.rbs_link(UP)
    end.own_link(UP)
    assert [output.kind for output in end.outputs() if isinstance(output, Tell)] == [Kind.RECOVERED]
    end.own_link(state)
    assert said(end.outputs()) == [("tell", step)]
    assert end.query() is state


def test_what_could_not_be_told_is_told_when_the_channel_returns() -> None:
    end = Informant(Role.SECONDARY)
    end.own_link(DOWN)
    assert end.outputs() == []
    end.rbs_link(UP)
    assert said(end.outputs()) == [("tell", "S601b")]


def test_what_a_lost_session_may_have_swallowed_is_told_on_the_next() -> None:
    """The channel never counted as down; the initiator would believe what it heard last for ever."""
    end = Informant(Role.PRIMARY)
    end.rbs_link(UP)
    end.own_link(DOWN)
    end.own_link(UP)
    end.outputs()
    end.session_opened()
    assert [output.kind for output in end.outputs() if isinstance(output, Tell)] == [Kind.RECOVERED]


def test_an_end_that_was_told_to_wait_waits_until_its_link_is_up() -> None:
    end = Informant(Role.SECONDARY)
    end.rbs_link(UP)
    end.own_link(DOWN)
    end.told_to_wait()
    assert end.waiting
    end.own_link(UP)
    assert not end.waiting


STATES = [UP, DOWN, DEGRADED]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "options",
    [FailoverOptions(), IMMEDIATE, DEGRADED_CONFIRM],
    ids=["confirm", "immediate", "degraded-confirm"],
)
def test_whatever_the_order_of_detection_the_path_is_the_table_s(
    role: Role, options: FailoverOptions
) -> None:
    """All orders in which three links can come to any state, the answers being true; then max-wait passes."""
    from rui.backup.decision import decide

    for mine, theirs, rbs in itertools.product(STATES, repeat=3):
        for order in itertools.permutations(["mine", "theirs", "rbs"]):
            end = decider(role, options)
            for event in order:
                match event:
                    case "mine":
                        end.own_link(mine, 3.0)
                    case "theirs":
                        if end.rbs is UP:
                            end.told(theirs, 3.0)
                    case "rbs":
                        end.rbs_link(rbs, 3.0)
                if end.asking and end.rbs is UP:
                    end.answer(end.theirs if event != "theirs" else theirs, 3.0)
                if any(isinstance(output, StartLocal) for output in end.outputs()):
                    end.started(1, 3.0)
            end.handle_timer(40.0)
            expected = decide(end.links, options.fault_policy, waited=True)
            if expected is Path.CLOUD and end.path is Path.BOTH:
                assert end.local, "on its way back to the cloud path"
                continue
            assert end.path is expected, f"{order}: {end.links}"
