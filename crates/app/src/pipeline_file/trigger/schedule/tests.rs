use super::*;

fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

/// The first `count` times after `from`.
fn times(pattern: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(pattern, zone).unwrap();
    let mut time = time(from);
    let next = |_| {
        time = schedule.next_after(time).unwrap();
        time.to_string().trim_end_matches("Z").trim_end_matches(".000000").to_owned()
    };
    (0..count).map(next).collect()
}

#[test]
fn a_time_lies_after_the_one_before_it() {
    let from = "2026-11-23T12:00:00.5Z";
    assert_eq!(times("0 * * * *", Tz::UTC, from, 2), ["2026-11-23T13:00:00", "2026-11-23T14:00:00"]);
    assert_eq!(times("*/20 * * * * *", Tz::UTC, from, 2), ["2026-11-23T12:00:20", "2026-11-23T12:00:40"]);
    assert_eq!(times("0 12 * * *", Tz::UTC, "2026-11-23T12:00:00Z", 1), ["2026-11-24T12:00:00"]);
    assert_eq!(times("@daily", Tz::Europe__Berlin, from, 1), ["2026-11-23T23:00:00"]);
    assert_eq!(times("30 6 * * mon-fri", Tz::UTC, "2026-11-27T07:00:00Z", 1), ["2026-11-30T06:30:00"]);
}

#[test]
fn day_of_month_and_day_of_week_are_either_or_unless_a_plus_joins_them() {
    let from = "2026-11-23T12:00:00Z";
    assert_eq!(times("0 0 1 * MON", Tz::UTC, from, 2), ["2026-11-30T00:00:00", "2026-12-01T00:00:00"]);
    assert_eq!(times("0 0 1 * +MON", Tz::UTC, from, 1), ["2027-02-01T00:00:00"]);
    assert_eq!(times("0 0 * * FRI#2", Tz::UTC, from, 1), ["2026-12-11T00:00:00"]);
    assert_eq!(times("0 0 * * FRI#L", Tz::UTC, from, 1), ["2026-11-27T00:00:00"]);
    assert_eq!(times("0 0 28W * *", Tz::UTC, from, 1), ["2026-11-27T00:00:00"]);
    assert_eq!(times("0 0 L * *", Tz::UTC, from, 1), ["2026-11-30T00:00:00"]);
}

/// On 2026-03-29 in Berlin 02:00 is 03:00 at once, which is 01:00 UTC.
#[test]
fn when_clocks_go_forward_a_skipped_time_comes_after_the_gap_and_a_recurring_one_leaves_it_out() {
    let (zone, from) = (Tz::Europe__Berlin, "2026-03-28T12:00:00Z");
    let expected = ["2026-03-29T01:00:00", "2026-03-30T00:30:00"];
    assert_eq!(times("30 2 * * *", zone, from, 2), expected);
    let expected = ["2026-03-29T00:30:00", "2026-03-29T01:00:00", "2026-03-29T01:30:00"];
    assert_eq!(times("*/30 * * * *", zone, "2026-03-29T00:00:00Z", 3), expected);
}

/// On 2026-10-25 in Berlin 03:00 is 02:00 again, which is 01:00 UTC.
#[test]
fn when_clocks_go_back_a_time_comes_once_and_a_recurring_one_in_both_hours() {
    let (zone, from) = (Tz::Europe__Berlin, "2026-10-24T12:00:00Z");
    let expected = ["2026-10-25T00:30:00", "2026-10-26T01:30:00"];
    assert_eq!(times("30 2 * * *", zone, from, 2), expected);
    let expected = [
        "2026-10-25T00:00:00",
        "2026-10-25T00:30:00",
        "2026-10-25T01:00:00",
        "2026-10-25T01:30:00",
        "2026-10-25T02:00:00",
    ];
    assert_eq!(times("*/30 * * * *", zone, "2026-10-24T23:59:00Z", 5), expected);
}

#[test]
fn what_is_no_pattern_is_said_field_by_field() {
    let wrong = |pattern: &str| Schedule::parse(pattern, Tz::UTC).unwrap_err();
    assert_eq!(wrong(""), "it is empty");
    assert_eq!(wrong("@dayly"), "`@dayly` is no name of a pattern");
    assert_eq!(wrong("* * *"), "it has 3 fields");
    assert_eq!(wrong("* * * * * * 2026"), "it has 7 fields");
    assert_eq!(wrong("61 * * * *"), "`61` cannot be its minutes");
    assert_eq!(wrong("* * * * * FRY"), "`FRY` cannot be its day of week");
    assert_eq!(wrong("*/0 * * * *"), "`*/0` cannot be its minutes");
    assert_eq!(wrong("0 0 30 2 *"), "no day is like that");
}

#[test]
fn the_zone_that_was_meant_is_found() {
    assert_eq!(zone("Europe/Berlin"), Ok(Tz::Europe__Berlin));
    assert_eq!(zone("berlin"), Err(Some("Europe/Berlin")));
    assert_eq!(zone("Europe/Belrin"), Err(Some("Europe/Berlin")));
    assert_eq!(zone("new york"), Err(Some("America/New_York")));
    assert_eq!(zone("???"), Err(None));
}
